"""Finding and reading files, local or remote.

Promises: errors about a URL are the same whatever the store (`asking`); those about a local path are the system's own.
Finding asks for listings alone, however many files there are.
"""

from __future__ import annotations

import glob
import hashlib
import os
import pathlib
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from lit_precompute.schemas.storage.asking import ask, check_bucket
from lit_precompute.schemas.storage.file_systems import local_path
from lit_precompute.schemas.storage.globbing import matching
from lit_precompute.schemas.storage.names import is_url
from lit_precompute.schemas.storage.publishing import publish, unique_name
from lit_precompute.schemas.storage.remote_bytes import STORES, RemoteBytes, StoredBytes, remote_bytes
from lit_precompute.schemas.storage.remote_file import open_remote
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience


class FoundFile(NamedTuple):
    """A file as a listing describes it: its size, and what differs once it has changed (time, generation, ETag).

    The size is None where the listing does not say, and for a folder; the version is then "".
    """

    num_bytes: int | None
    version: str
    is_folder: bool = False


def open_file(path: str, *, patience: Patience = DEFAULT_PATIENCE) -> BinaryIO:
    """Opens a local path or a URL for reading. A remote file is asked for when it is first read.

    Raises:
      StorageError: the URL's scheme is unknown, or its package is not installed.
    """
    local = local_path(path) if is_url(path) else pathlib.Path(path)
    if local is not None:
        return local.open("rb")
    return open_remote(path, patience)


def read_range(path: str, start: int, stop: int, *, patience: Patience = DEFAULT_PATIENCE) -> bytes:
    """Returns the bytes [start, stop) of the file at a local path or a URL; fewer only where the file ends.

    From a store, this is one request.
    """
    local = local_path(path) if is_url(path) else pathlib.Path(path)
    if local is None:
        return _read_all(remote_bytes(path, patience), start, stop)
    with local.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


def find_files(pattern: str, *, patience: Patience = DEFAULT_PATIENCE) -> list[str]:
    """Returns the paths or URLs that match a glob pattern, sorted by name."""
    return list(find_described(pattern, patience=patience))


def find_described(pattern: str, *, patience: Patience = DEFAULT_PATIENCE) -> dict[str, FoundFile]:
    """Returns the paths or URLs that match a glob pattern, sorted by name, with what the listing says of each."""
    if not is_url(pattern):
        found = sorted(glob.glob(pattern))  # noqa: PTH207 -- pathlib cannot glob an absolute pattern
        return {name: describe_local(name) for name in found}

    def find(files: Any, path: str) -> dict[str, FoundFile]:
        found = matching(files, path)
        if not found:
            check_bucket(pattern, files, path)
        return {_url_of(name, pattern, files): describe(found[name]) for name in sorted(found)}

    return ask(pattern, find, patience)


def _url_of(name: str, pattern: str, files: Any) -> str:
    """Returns the URL of a path that was found, beginning as the pattern does; fsspec forgets HDFS's host."""
    scheme, _, rest = pattern.partition("://")
    if "::" in pattern or scheme not in (*STORES, "hdfs"):
        return files.unstrip_protocol(name)
    host = rest.partition("/")[0] + "/" if scheme == "hdfs" else ""
    return f"{scheme}://{host}{name.lstrip('/')}"


def describe(details: dict[str, Any]) -> FoundFile:
    """Returns what fsspec's description of a file or folder says; asks for nothing."""
    if details.get("type") == "directory":
        return FoundFile(None, "", is_folder=True)
    names = ("generation", "ETag", "etag", "LastModified", "last_modified", "mtime", "created")
    version = next((str(details[name]) for name in names if details.get(name) is not None), "")
    return FoundFile(details.get("size"), version.strip('"'))


def describe_local(path: str | os.PathLike[str]) -> FoundFile:
    """Returns the same of a local file or folder."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- of 400,000 files, making paths of their names takes as long
    except OSError:  # a link to nowhere: an error once it is opened
        return FoundFile(None, "")
    if stat.S_ISDIR(found.st_mode):
        return FoundFile(None, "", is_folder=True)
    return FoundFile(found.st_size, str(found.st_mtime_ns))


def is_folder(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> bool:
    """Returns whether a URL names a folder."""
    return _type_of(url, patience) == "directory"


def is_file(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> bool:
    """Returns whether a URL names a file."""
    return _type_of(url, patience) == "file"


def _type_of(url: str, patience: Patience) -> str:
    # fsspec's isdir and isfile take an outage for "no".
    def find(files: Any, path: str) -> str:
        return files.info(path)["type"]

    try:
        return ask(url, find, patience)
    except FileNotFoundError:
        return ""


def file_version(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> str:
    """Returns a hexadecimal hash that differs when the file at a URL has changed."""
    return ask(url, lambda files, path: files.ukey(path), patience)


def copy_file(
    url: str,
    target: pathlib.Path,
    *,
    check: Callable[[pathlib.Path], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> None:
    """Copies the file at a URL to this machine; processes that copy to the same target do not disturb each other.

    fsspec's own cache writes under the final name from the first byte on, and lets two processes write one file.

    Args:
      url: the file.
      target: the local path; its folders are created.
      check: called with the whole file under a temporary name; if it raises, the file is removed.
      progress: called after every piece with the bytes so far, and with all bytes or 0 if unknown.
      patience: how long to try.
    """
    temporary = target.with_name(unique_name(f".{target.name}"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()  # a local error must not look like the server's
        ask(url, lambda files, path: _copy(files, path, temporary, progress), patience)
        if check is not None:
            check(temporary)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(files: Any, path: str, temporary: pathlib.Path, progress: Callable[[int, int], None] | None) -> None:
    import fsspec.callbacks

    def report(size: int | None, value: int, **_: Any) -> None:
        if progress is not None and value:
            progress(value, size or 0)

    callback = fsspec.callbacks.Callback(hooks={"report": report})
    files.get_file(path, str(temporary), callback=callback)
    num_bytes = temporary.stat().st_size
    if callback.size and num_bytes != callback.size:
        raise OSError(f"the connection ended after {num_bytes} of {callback.size} bytes")


def _read_all(pieces: RemoteBytes, start: int, stop: int) -> bytes:
    """Returns the bytes [start, stop), also where a server sends them in several pieces."""
    found: list[bytes] = []
    try:
        while start < stop and (data := pieces.piece(start, stop - start)):
            found.append(data)
            start += len(data)
            if isinstance(pieces, StoredBytes):
                break
    finally:
        pieces.close()
    return found[0] if len(found) == 1 else b"".join(found)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a local file's bytes, in hexadecimal."""
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
