"""fsspec's file systems: which one a URL needs, and whether it is installed. Only this package imports fsspec.

Promises: a scheme that is unknown, or whose package is missing, is a `StorageError` that says what to install; checking
it makes no connection. Errors of a file system itself may be of any type (`answers`).
"""

from __future__ import annotations

import errno
import functools
import pathlib
import re
from typing import TYPE_CHECKING

from lit_precompute.schemas.storage.answers import StorageError

if TYPE_CHECKING:  # slow to import, and not needed for local files
    import aiohttp
    import fsspec

WEB_SCHEMES = ("https://", "http://")
_WORD = re.compile("[a-z]+")
_COMMON = "file, ftp, gs, hdfs, hf, http, https, s3, sftp"


def check_scheme(url: str) -> None:
    """Checks that the file systems of a URL, which may be chained by "::", are installed; makes no connection.

    Raises:
      StorageError: an unknown scheme, or a package is missing.
    """
    parts = url.split("::")
    for part in parts:
        scheme, is_scheme, _ = part.partition("://")
        # In a chain a bare word is a scheme, too: simplecache::s3://bucket/file
        if (is_scheme or (len(parts) > 1 and _WORD.fullmatch(part))) and (fault := _fault(scheme)):
            raise StorageError(errno.EIO, fault, url)


@functools.cache
def _fault(scheme: str) -> str:
    """Returns what is wrong with a scheme; "" if nothing."""
    import fsspec

    if not scheme:  # fsspec would take it for "file"
        return f"a scheme is missing before ://, such as {_COMMON}"
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None)
        install = f"pip install {missing}" if missing else str(error)
        return f"{scheme}:// needs a Python package that is not installed: {install}"
    except ValueError:
        return f"unknown scheme {scheme!r}; known ones are {_COMMON} and fsspec's others"
    return ""


def local_path(url: str) -> pathlib.Path | None:
    """Returns the local path of a URL such as file:///a; None for another file system.

    Raises:
      StorageError: see `check_scheme`.
    """
    check_scheme(url)
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    scheme = url.partition("://")[0]
    if "::" in url or not issubclass(fsspec.get_filesystem_class(scheme), LocalFileSystem):
        return None
    return pathlib.Path(fsspec.core.strip_protocol(url))


def open_file_system(url: str, timeout_s: float) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system that a URL names, and the path within it; may connect.

    Args:
      url: the URL.
      timeout_s: how long a web server may be silent.
    """
    check_scheme(url)
    import fsspec

    if not url.startswith(WEB_SCHEMES):
        return fsspec.core.url_to_fs(url)
    import aiohttp

    settings = {
        # By default aiohttp ends every request after five minutes, ignores the environment's proxy, and accepts
        # compressed bytes, whose count is not the file's size.
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s),
        "trust_env": True,
        "headers": {"User-Agent": "lit-precompute", "Accept-Encoding": "identity"},
        "raise_for_status": _refuse_without_contents,
    }
    return fsspec.core.url_to_fs(url, client_kwargs=settings)


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
