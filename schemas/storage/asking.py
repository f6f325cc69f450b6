"""Asking a file system about a URL: patiently, and without taking a bucket that is gone for a file that is.

Promises: whatever the store, an error about a URL is a FileNotFoundError (there is no such file), a PermissionError
(this file is refused) or a `StorageError` (the server or store cannot be used, or did not answer after several
attempts).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, TypeVar

from lit_precompute.schemas.storage.answers import StorageError, http_status
from lit_precompute.schemas.storage.drivers import GCS_SCHEMES, S3_SCHEMES, connect
from lit_precompute.schemas.storage.file_systems import check_scheme
from lit_precompute.schemas.storage.object_stores import s3_cause
from lit_precompute.schemas.storage.retrying import Patience, with_patience

Answer = TypeVar("Answer")

_FORBIDDEN, _OUT_OF_RANGE = 403, 416
_found_buckets: set[str] = set()


def ask(url: str, question: Callable[[Any, str], Answer], patience: Patience) -> Answer:
    """Returns what a file system answers to a question about the file at a URL.

    Args:
      url: the file.
      question: is given the fsspec file system and the path within it; it may be asked several times.
      patience: how long to try.
    """
    check_scheme(url)

    def attempt() -> Answer:
        files, path = connect(url, patience.timeout_s)
        try:
            return question(files, path)
        except FileNotFoundError:
            check_bucket(url, files, path)
            raise

    return with_patience(url, attempt, patience)


def fetch(
    files: Any, path: str, start: int | None = None, stop: int | None = None, *, timeout_s: float | None = None
) -> bytes:
    """Returns a file's bytes [start, stop) by one request; fewer where the file ends.

    Args:
      files: the file system.
      path: of the file within it.
      start: None: its beginning.
      stop: None: its end.
      timeout_s: how long the request may take, however steadily bytes arrive; None: as long as they do.
    """
    more = {"max_concurrency": 1} if files.protocol == S3_SCHEMES else {}  # otherwise it asks for the size first
    try:
        if timeout_s is None or not files.async_impl:
            return files.cat_file(path, start=start, end=stop, **more)
        from fsspec.asyn import sync

        data: Any = sync(files.loop, files._cat_file, path, start=start, end=stop, timeout=timeout_s, **more)
        return data
    except Exception as error:
        if start is not None and http_status(s3_cause(error)) == _OUT_OF_RANGE:
            return b""
        raise


def check_bucket(url: str, files: Any, path: str) -> None:
    """Raises StorageError if it is the bucket that does not exist; each is asked for once at most."""
    scheme, bucket = url.partition("://")[0], path.partition("/")[0]
    if scheme not in GCS_SCHEMES + S3_SCHEMES or "::" in url or bucket in _found_buckets:
        return
    try:
        if scheme in GCS_SCHEMES:
            files.call("GET", "b/{}/o", bucket, maxResults=1)
        else:
            files.call_s3("head_bucket", Bucket=bucket)
    except FileNotFoundError:
        words = f"there is no bucket {bucket!r}"
        raise StorageError(errno.EIO, words, url) from None
    except OSError as error:
        if http_status(s3_cause(error)) != _FORBIDDEN:
            raise
        # It exists, but must not be listed.
    _found_buckets.add(bucket)
