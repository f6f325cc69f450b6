"""What each store offers to writers, and how it is asked for.

Promises: an object appears whole or not at all; `create` raises FileExistsError where there is an object, and of
several processes that create one, exactly one succeeds; several objects are removed by few requests. What a store does
not offer (its driver may pretend to) is a `StorageError`.

| store | whole | create if absent |
|---|---|---|
| GCS | an upload that completes | ifGenerationMatch=0 |
| S3 | an upload that completes | If-None-Match: * |
| HDFS | written beside, and renamed | a rename fails where there is a file |
| memory | this process only | a lock |
"""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import pathlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from lit_precompute.schemas.storage.answers import StorageError
from lit_precompute.schemas.storage.drivers import GCS_SCHEMES, S3_SCHEMES
from lit_precompute.schemas.storage.publishing import is_unfinished, unique_name
from lit_precompute.schemas.storage.store import Store

_WRITABLE = "a local path, gs://, s3:// or hdfs://"
_PART_BYTES = 16 << 20  # a multiple of 256 KiB, as GCS asks for
_PARTS_AT_ONCE = 4
# Where an object says which attempt created it.
_ATTEMPT = "lit-precompute-attempt"


def store_of(url: str) -> Store:
    """Returns how to write to the store of a URL.

    Raises:
      StorageError: it is no store that jobs can write to.
    """
    scheme = url.partition("://")[0]
    if "::" in url or scheme not in _STORES:
        raise StorageError(errno.EROFS, read_only(url), url)
    return _STORES[scheme]


def read_only(url: str) -> str:
    """Returns why nothing can be written to a URL, and what to do instead."""
    scheme = url.partition("://")[0]
    what = "a chained URL" if "::" in url else f"{scheme}://"
    words = f"{what} can only be read from; write to {_WRITABLE}"
    if what == "hf://":
        words += ", and copy the folder to the hub with `hf upload OWNER/NAME FOLDER --repo-type dataset`"
    return words


def is_writable(url: str) -> bool:
    """Returns whether jobs can write to a URL: a store, or this machine."""
    return "::" not in url and url.partition("://")[0] in (*_STORES, "file", "local")


class _Gcs(Store):
    """See `Store`."""

    def put(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        files.pipe_file(path, data, metadata={_ATTEMPT: attempt})

    def upload(self, files: Any, path: str, local: pathlib.Path) -> None:
        files.put_file(str(local), path, chunksize=_PART_BYTES)

    # A CRC32C takes a tenth of the time of the MD5 that the driver would compute.
    def send(self, files: Any, path: str, data: bytes) -> None:
        files.pipe_file(path, data, consistency="none")

    def send_file(self, files: Any, path: str, local: pathlib.Path) -> None:
        files.put_file(str(local), path, chunksize=_PART_BYTES, consistency="none")

    def checksum(self, pieces: Iterable[bytes]) -> str:
        import google_crc32c

        crc = functools.reduce(google_crc32c.extend, pieces, 0)
        return base64.b64encode(crc.to_bytes(4, "big")).decode()

    def listed_checksum(self, details: Mapping[str, Any]) -> str:
        return details.get("crc32c", "")

    def create(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        files.pipe_file(path, data, metadata={_ATTEMPT: attempt}, mode="create")

    def is_of(self, files: Any, path: str, attempt: str) -> bool:
        return files.info(path).get("metadata", {}).get(_ATTEMPT) == attempt

    def size(self, files: Any, path: str) -> int:
        # `info` asks in two ways at once what a path is.
        bucket, _, name = path.partition("/")
        return int(files.call("GET", "b/{}/o/{}", bucket, name, fields="size", json_out=True)["size"])

    def remove(self, files: Any, paths: Sequence[str]) -> None:
        from fsspec.asyn import sync

        for some in _batches(paths, 100):
            # `rm` looks for patterns in names, and deletes one by one where the endpoint is not Google's own.
            for answer in cast(list[Any], sync(files.loop, files._rm_files, some)):
                if isinstance(answer, Exception) and "404" not in str(answer) and "No such object" not in str(answer):
                    raise answer


class _S3(Store):
    """See `Store`."""

    def put(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        files.pipe_file(path, data, Metadata={_ATTEMPT: attempt})

    def upload(self, files: Any, path: str, local: pathlib.Path) -> None:
        files.put_file(str(local), path, chunksize=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def send(self, files: Any, path: str, data: bytes) -> None:
        files.pipe_file(path, data)

    def create(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        files.pipe_file(path, data, Metadata={_ATTEMPT: attempt}, mode="create")

    def is_of(self, files: Any, path: str, attempt: str) -> bool:
        return files.metadata(path, refresh=True).get(_ATTEMPT) == attempt

    def remove(self, files: Any, paths: Sequence[str]) -> None:
        for some in _batches(paths, 1000):
            bucket = some[0].partition("/")[0]
            names = [{"Key": path.partition("/")[2]} for path in some]
            # s3fs's own overlooks the errors in the answer.
            answer = files.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            for error in answer.get("Errors", ()):
                refused = PermissionError if error.get("Code") == "AccessDenied" else OSError
                raise refused(errno.EACCES, f"{error.get('Key')}: {error.get('Message')} ({error.get('Code')})")


class _Memory(Store):
    """See `Store`."""

    _lock = threading.Lock()

    def put(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        with self._lock:
            files.pipe_file(path, data)

    def upload(self, files: Any, path: str, local: pathlib.Path) -> None:
        self.put(files, path, local.read_bytes(), "")

    def create(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        with self._lock:
            files.pipe_file(path, data, mode="create")

    def is_of(self, files: Any, path: str, attempt: str) -> bool:
        return False

    def remove(self, files: Any, paths: Sequence[str]) -> None:
        _remove_one_by_one(files, paths)


class _Hdfs(Store):
    """See `Store`. A file is seen while it is written, so it is written beside its name; a rename is one step.

    A rename whose answer was lost is not the caller's concern: the name node remembers what it answered.
    """

    def put(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        with self._written(files, path, lambda temporary: files.pipe_file(temporary, data)) as temporary:
            self._replace(files, temporary, path)

    def upload(self, files: Any, path: str, local: pathlib.Path) -> None:
        with self._written(files, path, lambda temporary: files.put_file(str(local), temporary)) as temporary:
            self._replace(files, temporary, path)

    def create(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        with self._written(files, path, lambda temporary: files.pipe_file(temporary, data)) as temporary:
            try:
                files.mv(temporary, path)
            except OSError as error:
                if not files.exists(path):
                    raise
                raise FileExistsError(errno.EEXIST, "there is such a file", path) from error

    def is_of(self, files: Any, path: str, attempt: str) -> bool:
        return False

    def remove(self, files: Any, paths: Sequence[str]) -> None:
        _remove_one_by_one(files, paths)

    def remove_unfinished(self, files: Any, path: str) -> None:
        _remove_one_by_one(files, filter(is_unfinished, files.ls(path, detail=False)))

    @contextlib.contextmanager
    def _written(self, files: Any, path: str, write: Callable[[str], object]) -> Iterator[str]:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/{unique_name(f'.{name}')}"
        files.makedirs(folder, exist_ok=True)
        try:
            write(temporary)
            yield temporary
        finally:
            if files.exists(temporary):
                files.rm_file(temporary)

    def _replace(self, files: Any, temporary: str, path: str) -> None:
        try:
            files.mv(temporary, path)
        except OSError:
            if not files.exists(path):
                raise
            files.rm_file(path)
            files.mv(temporary, path)


def _remove_one_by_one(files: Any, paths: Iterable[str]) -> None:
    for path in paths:
        try:
            files.rm_file(path)
        except FileNotFoundError:
            continue


def _batches(paths: Sequence[str], length: int) -> Iterable[list[str]]:
    return (list(paths[start : start + length]) for start in range(0, len(paths), length))


_STORES: dict[str, Store] = {
    **dict.fromkeys(GCS_SCHEMES, _Gcs()),
    **dict.fromkeys(S3_SCHEMES, _S3()),
    "memory": _Memory(),
    "hdfs": _Hdfs(),
}
