"""Paths as users give them, made absolute before anything is planned, or refused in a sentence.

Nothing is opened here, and no connection is made.
"""

import os
import pathlib

from lit_precompute.schemas.storage.file_systems import local_path
from lit_precompute.schemas.storage.names import DatasetError, is_url, not_quite_a_url, refuse_drive
from lit_precompute.schemas.storage.stores import is_writable, read_only

_WITH_BUCKETS = {"gs": "bucket", "gcs": "bucket", "s3": "bucket", "s3a": "bucket", "http": "server", "https": "server"}


def absolute(path: str | os.PathLike[str], *, what: str = "--output", writing: bool = True) -> str:
    """Returns an absolute local path or a URL without a slash at its end; relative to the working directory if local.

    Args:
      path: a path or URL; file:// becomes a local path.
      what: what it is, for the message.
      writing: whether a job writes there; a source may also be on a web server, or a chain such as simplecache::gs://b/a.

    Raises:
      DatasetError: it is empty or malformed, or nothing can be written there.
      StorageError: its scheme is unknown, or its package is not installed.
    """
    text = os.fspath(path)
    if not text.strip():
        raise DatasetError(f"{what} {text!r}: must be a path or URL, got an empty one")
    if not is_url(text):
        refuse_drive(what, text)
    if meant := not_quite_a_url(text):
        raise DatasetError(f"{what} {text}: {meant}")
    if not is_url(text):
        return _absolute_path(text)
    if writing and not is_writable(text):
        raise DatasetError(f"{what} {text}: {read_only(text)}")
    if (local := local_path(text)) is not None:
        return _absolute_path(str(local))
    return text if "::" in text else _normal(text, what, writing=writing)


def _absolute_path(text: str) -> str:
    """Returns an absolute path without `..`; where there is one, links are followed, as the system would."""
    path = pathlib.Path(text).absolute()
    return os.path.realpath(path) if ".." in path.parts else str(path)


def _normal(url: str, what: str, *, writing: bool) -> str:
    """Returns a URL without needless slashes; a store takes every other part of it literally."""
    scheme, _, rest = url.partition("://")
    root, _, inner = rest.partition("/")
    if not root and (kind := _WITH_BUCKETS.get(scheme)):
        raise DatasetError(f"{what} {url}: names no {kind}; write {scheme}://{kind.upper()}/...")
    if not writing:
        return url.rstrip("/")
    parts = [part for part in inner.split("/") if part]
    if {".", ".."} & {root, *parts}:
        raise DatasetError(f"{what} {url}: a store takes . and .. for names; write the path without them")
    return f"{scheme}://{'/'.join([root, *parts])}"
