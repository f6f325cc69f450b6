"""Files, local or remote: the only module that knows file systems.

Promises: a published file appears whole or not at all, even if the process is killed; a path that contains "://" is
read through fsspec, any other is local. Only local paths can be published to so far.

Not here: what the files mean.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

if TYPE_CHECKING:  # slow to import, and not needed for local files
    import fsspec

MANIFEST_NAME = "manifest.json"
WORK_FOLDER = "_work"  # of an unfinished job; removed once the manifest is published
WEB_SCHEMES = ("https://", "http://")
_WEB_TIMEOUT_S = 60.0


class DatasetError(ValueError):
    """A dataset, or data to be written to one, breaks a rule of the format (docs/format.md)."""


def shard_path(table: str, shard: int, num_shards: int) -> str:
    """Returns the path of a shard's file of one table, relative to the dataset."""
    return f"{table}/part-{shard:05d}-of-{num_shards:05d}.arrayrecord"


# Publishing.


def temporary_path(directory: str | os.PathLike[str], name: str) -> pathlib.Path:
    """Returns a path under the dataset's work folder that no other attempt uses; its folder exists."""
    folder = pathlib.Path(directory) / WORK_FOLDER / "temporary"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / _unique(name)


def publish(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Flushes a finished temporary file to the disk and renames it to its final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Writes a small UTF-8 file that readers see whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_unique(f".{path.name}"))
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish_folder(path: str | os.PathLike[str], fill: Callable[[pathlib.Path], object], *, prefix: str = ".") -> None:
    """Makes a new folder appear whole, by rename; its files are flushed to the disk only if `fill` does so.

    Args:
      path: the folder.
      fill: writes the contents into the folder that it is given.
      prefix: prefix of the name of the temporary folder, which is beside `path` and may remain after a kill.

    Raises:
      FileExistsError: `path` is a file, or a folder that is not empty.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(_unique(f"{prefix}{path.name}"))
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        _rename_to_new(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def lock_file(path: pathlib.Path) -> TextIO:
    """Opens a file under an exclusive lock, released when the file is closed or the process ends, even by a kill.

    Raises:
      BlockingIOError: another process holds the lock.
    """
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _unique(name: str) -> str:
    return f"{name}.{uuid.uuid4().hex}"


def _rename_to_new(folder: pathlib.Path, path: pathlib.Path) -> None:
    try:
        folder.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise FileExistsError(errno.EEXIST, "is a file, or a folder that is not empty", str(path)) from error


def _flush(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Finding and reading. The packages that a URL needs are installed separately; errors come from fsspec or from such a
# package, and may be of any type.


def open_file(path: str) -> BinaryIO:
    """Opens a local path or a URL for reading."""
    if "://" not in path:
        return pathlib.Path(path).open("rb")
    file_system, inner = _open_url(path)
    return cast(BinaryIO, file_system.open(inner, "rb"))


def find_files(pattern: str) -> list[str]:
    """Returns the paths or URLs that match a glob pattern, sorted by name."""
    if "://" not in pattern:
        return sorted(glob.glob(pattern))  # noqa: PTH207 -- pathlib cannot glob an absolute pattern
    file_system, inner = _open_url(pattern)
    return sorted(file_system.unstrip_protocol(str(name)) for name in file_system.glob(inner))


def beside(file: str, path: str) -> str:
    """Returns `path`, taken relative to the folder of `file` unless it is absolute or has a scheme of its own."""
    folder, slash, _ = file.rpartition("/")
    if path.startswith("/") or "://" in path:
        return path
    return f"{folder}{slash}{path}"


def local_path(url: str) -> pathlib.Path | None:
    """Returns the local path of a URL such as file:///a; None for another file system."""
    from fsspec.implementations.local import LocalFileSystem

    file_system, inner = _open_url(url)
    return pathlib.Path(inner) if isinstance(file_system, LocalFileSystem) else None


def is_folder(url: str) -> bool:
    """Returns whether a URL names a folder."""
    file_system, inner = _open_url(url)
    return file_system.isdir(inner)


def is_file(url: str) -> bool:
    """Returns whether a URL names a file."""
    file_system, inner = _open_url(url)
    return file_system.isfile(inner)


def file_version(url: str) -> str:
    """Returns a hexadecimal hash that differs when the file at a URL has changed."""
    file_system, inner = _open_url(url)
    return file_system.ukey(inner)


def copy_file(
    url: str,
    target: pathlib.Path,
    *,
    check: Callable[[pathlib.Path], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Copies the file at a URL to this machine; processes that copy to the same target do not disturb each other.

    fsspec's own cache writes under the final name from the first byte on, and lets two processes write one file.

    Args:
      url: the file.
      target: the local path; its folders are created.
      check: called with the whole file under a temporary name; if it raises, the file is removed.
      progress: called after every piece with the bytes so far, and with all bytes or 0 if unknown.

    Raises:
      OSError: the file ends early.
    """
    import fsspec.callbacks

    def report(size: int | None, value: int, **_: Any) -> None:
        if progress is not None and value:
            progress(value, size or 0)

    file_system, inner = _open_url(url)
    callback = fsspec.callbacks.Callback(hooks={"report": report})
    temporary = target.with_name(_unique(f".{target.name}"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file_system.get_file(inner, str(temporary), callback=callback)  # pyright: ignore[reportArgumentType]
        num_bytes = temporary.stat().st_size
        if callback.size and num_bytes != callback.size:
            raise OSError(f"the connection ended after {num_bytes} of {callback.size} bytes")
        if check is not None:
            check(temporary)
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a local file's bytes, in hexadecimal."""
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_url(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system that a URL names, and the path within it."""
    import fsspec

    if not url.startswith(WEB_SCHEMES):
        return fsspec.core.url_to_fs(url)
    import aiohttp

    settings = {
        # By default aiohttp ends every request after five minutes, ignores the environment's proxy, and accepts
        # compressed bytes, whose count is not the file's size.
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=_WEB_TIMEOUT_S, sock_read=_WEB_TIMEOUT_S),
        "trust_env": True,
        "headers": {"User-Agent": "lit-precompute", "Accept-Encoding": "identity"},
    }
    return fsspec.core.url_to_fs(url, client_kwargs=settings)
