"""Finding and reading files, local or remote.

Promises: whatever the store, an error about a URL is a FileNotFoundError (there is no such file), a PermissionError
(this file is refused) or a `StorageError` (the server or store cannot be used, or did not answer after several
attempts). An error about a local path is the system's own.
"""

from __future__ import annotations

import glob
import hashlib
import io
import os
import pathlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from lit_precompute.schemas.storage.file_systems import local_path, open_file_system
from lit_precompute.schemas.storage.folders import FoundFile
from lit_precompute.schemas.storage.names import is_url
from lit_precompute.schemas.storage.publishing import publish, unique_name
from lit_precompute.schemas.storage.remote_file import RemoteFile
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience, with_patience

# Read at once from what fsspec has already fetched.
_BUFFER_BYTES = 1 << 16
# What tells versions of a file apart, by the names that file systems give it in listings.
_VERSIONS = ("generation", "ETag", "etag", "mtime", "LastModified", "last_modified", "created")


def open_file(path: str, *, patience: Patience = DEFAULT_PATIENCE) -> BinaryIO:
    """Opens a local path or a URL for reading. A remote file is asked for when it is first read.

    Raises:
      StorageError: the URL's scheme is unknown, or its package is not installed.
    """
    local = local_path(path) if is_url(path) else pathlib.Path(path)
    if local is not None:
        return local.open("rb")
    return cast(BinaryIO, io.BufferedReader(RemoteFile(path, patience), _BUFFER_BYTES))


def find_files(pattern: str, *, patience: Patience = DEFAULT_PATIENCE) -> list[str]:
    """Returns the paths or URLs that match a glob pattern, sorted by name."""
    return list(find_described(pattern, patience=patience))


def find_described(pattern: str, *, patience: Patience = DEFAULT_PATIENCE) -> dict[str, FoundFile]:
    """Returns the paths or URLs that match a glob pattern, sorted by name, with what the listing says of each."""
    if not is_url(pattern):
        found = sorted(glob.glob(pattern))  # noqa: PTH207 -- pathlib cannot glob an absolute pattern
        return {path: _found_here(path) for path in found}

    def find() -> dict[str, FoundFile]:
        file_system, inner = open_file_system(pattern, patience.timeout_s)
        listing: dict[str, Any] = cast(Any, file_system.glob(inner, detail=True))
        return {file_system.unstrip_protocol(name): _found_there(listing[name]) for name in sorted(listing)}

    return with_patience(pattern, find, patience)


def _found_here(path: str) -> FoundFile:
    try:
        stat = pathlib.Path(path).stat()
    except OSError:  # a link to nowhere: an error once it is opened
        return FoundFile(None, "")
    if pathlib.Path(path).is_dir():
        return FoundFile(None, "", is_folder=True)
    return FoundFile(stat.st_size, str(stat.st_mtime_ns))


def _found_there(details: dict[str, Any]) -> FoundFile:
    """Returns what a file system's listing says of a file; asks for nothing."""
    if details.get("type") == "directory":
        return FoundFile(None, "", is_folder=True)
    version = next((details[name] for name in _VERSIONS if details.get(name)), "")
    return FoundFile(details.get("size"), str(version))


def is_folder(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> bool:
    """Returns whether a URL names a folder."""
    return _ask(url, lambda file_system, inner: file_system.isdir(inner), patience)


def is_file(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> bool:
    """Returns whether a URL names a file."""
    return _ask(url, lambda file_system, inner: file_system.isfile(inner), patience)


def file_version(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> str:
    """Returns a hexadecimal hash that differs when the file at a URL has changed."""
    return _ask(url, lambda file_system, inner: file_system.ukey(inner), patience)


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
        _ask(url, lambda file_system, inner: _copy(file_system, inner, temporary, progress), patience)
        if check is not None:
            check(temporary)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(file_system: Any, inner: str, temporary: pathlib.Path, progress: Callable[[int, int], None] | None) -> None:
    import fsspec.callbacks

    def report(size: int | None, value: int, **_: Any) -> None:
        if progress is not None and value:
            progress(value, size or 0)

    callback = fsspec.callbacks.Callback(hooks={"report": report})
    file_system.get_file(inner, str(temporary), callback=callback)
    num_bytes = temporary.stat().st_size
    if callback.size and num_bytes != callback.size:
        raise OSError(f"the connection ended after {num_bytes} of {callback.size} bytes")


def _ask(url: str, question: Callable[[Any, str], Any], patience: Patience) -> Any:
    """Returns what a file system answers to a question about the file at a URL."""

    def ask() -> Any:
        return question(*open_file_system(url, patience.timeout_s))

    return with_patience(url, ask, patience)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a local file's bytes, in hexadecimal."""
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
