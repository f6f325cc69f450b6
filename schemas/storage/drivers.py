"""fsspec's drivers as jobs need them: they repeat nothing by themselves, remember no listings, never wait for ever.

Promises: trying again is `retrying`'s alone, so that it is bounded, counted and the same for every store; credentials
come from the environment, and a store on this machine (STORAGE_EMULATOR_HOST, AWS_ENDPOINT_URL) needs none for GCS.
Source: gcsfs 2026.10, core.py and retry.py; s3fs 2026.9, core.py.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

from lit_precompute.schemas.storage.answers import StorageError
from lit_precompute.schemas.storage.hub import HUB_SCHEME, hub_driver

if TYPE_CHECKING:  # slow to import, and not needed for local files
    import aiohttp
    import fsspec

WEB_SCHEMES = ("https://", "http://")
GCS_SCHEMES = ("gs", "gcs")
S3_SCHEMES = ("s3", "s3a")
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_WITHOUT_HADOOP = "Unable to load lib"  # begins pyarrow's list of all the places where it looked for libjvm or libhdfs


def connect(url: str, timeout_s: float) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system of a URL, and the path within it; may connect.

    Args:
      url: the URL.
      timeout_s: how long a server may be silent.
    """
    import fsspec

    scheme = url.partition("://")[0]
    if "::" in url:
        return fsspec.core.url_to_fs(url)
    if url.startswith(WEB_SCHEMES):
        return fsspec.core.url_to_fs(url, client_kwargs=_of_web(timeout_s))
    if scheme in GCS_SCHEMES:
        driver = _gcs_driver()
        return driver(**_of_gcs(timeout_s)), driver._strip_protocol(url)
    if scheme in S3_SCHEMES:
        files, path = fsspec.core.url_to_fs(url, **_of_s3(timeout_s))
        files.retries = 1
        return files, path
    if scheme == HUB_SCHEME:
        hub = hub_driver()(timeout_s=timeout_s)
        hub.forget()
        return hub, hub._strip_protocol(url)
    try:
        return fsspec.core.url_to_fs(url)
    except OSError as error:
        if scheme != "hdfs" or _WITHOUT_HADOOP not in str(error):
            raise
        words = "needs Java and Hadoop's libhdfs here; set JAVA_HOME, HADOOP_HOME and CLASSPATH (docs/stores.md)"
        raise StorageError(errno.EIO, words, url) from error


def _of_web(timeout_s: float) -> dict[str, Any]:
    return {
        # By default aiohttp ends every request after five minutes, ignores the environment's proxy, and accepts
        # compressed bytes, whose count is not the file's size.
        "timeout": _silence(timeout_s),
        "trust_env": True,
        "headers": {"User-Agent": "lit-precompute", "Accept-Encoding": "identity"},
        "raise_for_status": _refuse_without_contents,
    }


def _of_gcs(timeout_s: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "use_listings_cache": False,
        "requests_timeout": _silence(timeout_s),
        "session_kwargs": {"trust_env": may_have_proxy()},
        # The store compares what arrived; gcsfs compares what the store says.
        "consistency": "md5",
    }
    if endpoint := os.environ.get("STORAGE_EMULATOR_HOST"):
        # Named, so that fsspec does not return a driver of another. Without a token, gcsfs looks for 24 s for Google.
        settings["endpoint_url"] = endpoint if "://" in endpoint else f"http://{endpoint}"
        settings["token"] = "anon"
    return settings


def may_have_proxy() -> bool:
    """Returns whether requests may have to go through a proxy. Looking for one, aiohttp reads ~/.netrc each time."""
    # macOS and Windows have settings for the whole system, too.
    return sys.platform != "linux" or any(name in os.environ for name in _PROXIES)


def _of_s3(timeout_s: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "use_listings_cache": False,
        "config_kwargs": {
            "connect_timeout": timeout_s,
            "read_timeout": timeout_s,
            "retries": {"total_max_attempts": 1},
        },
    }
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        settings["endpoint_url"] = endpoint  # named, so that fsspec does not return a driver of another
    return settings


def _silence(timeout_s: float) -> aiohttp.ClientTimeout:
    """Returns a limit on how long a server may say nothing, not on how long a request may take."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s)


@functools.cache
def _gcs_driver() -> Any:
    """Returns gcsfs's driver without its attempts: six for each of ours, and a traceback on the terminal.

    It is the one of plain buckets: gcsfs's other asks by gRPC what kind of bucket it is, again and again where it gets
    no answer.
    """
    from gcsfs import core

    class Gcs(core.GCSFileSystem):
        _request = inspect.unwrap(core.GCSFileSystem._request)
        _get_file_request = inspect.unwrap(core.GCSFileSystem._get_file_request)

    return Gcs


async def _refuse_without_contents(response: aiohttp.ClientResponse) -> None:
    """Raises on an answer that carries no file but is no error to aiohttp: a redirect without a target, a 304.

    Errors of 400 and above are left to fsspec, which looks at some of them itself.
    """
    import aiohttp

    if not 200 <= response.status < 300 and response.status < 400:
        raise aiohttp.ClientResponseError(
            response.request_info,
            response.history,
            status=response.status,
            message=response.reason or "",
            headers=response.headers,
        )
