"""Which of fsspec's file systems a URL needs, and whether it is installed. Only this package imports fsspec.

Promises: a scheme that is unknown, or whose package is missing, is a `StorageError` that says what to install; checking
it makes no connection.
"""

from __future__ import annotations

import errno
import importlib.util
import pathlib
import re

from lit_precompute.schemas.storage.answers import StorageError

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


def _fault(scheme: str) -> str:
    """Returns what is wrong with a scheme; "" if nothing."""
    import fsspec
    from fsspec.registry import known_implementations

    if not scheme:  # fsspec would take it for "file"
        return f"a scheme is missing before ://, such as {_COMMON}"
    needs = f"{scheme}:// needs a Python package that is not installed: "
    package = known_implementations.get(scheme, {"class": ""})["class"].partition(".")[0]
    if package and importlib.util.find_spec(package) is None:
        return f"{needs}pip install {package}"
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None)
        return needs + (f"pip install {missing}" if missing else str(error))
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
