"""Files, local or remote: the only module that knows file systems.

Promises: what is published here appears whole or not at all, also when the process is killed; what contains "://" is
read through fsspec, everything else is a local path. Published to so far: local paths.

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

if TYPE_CHECKING:  # it takes a tenth of a second to import: local files do without
    import fsspec

MANIFEST_NAME = "manifest.json"
WORK_FOLDER = "_work"  # what an unfinished job keeps; gone once the manifest is published
WEB_SCHEMES = ("https://", "http://")
_WEB_TIMEOUT_S = 60.0


class DatasetError(ValueError):
    """A dataset, or what was to be written into one, breaks a rule of the format (docs/format.md)."""


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
    """Makes a finished temporary file appear under its name: flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Writes a small UTF-8 file that a reader sees whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_unique(f".{path.name}"))
    temporary.write_text(text, encoding="utf-8")
    publish(temporary, path)


def publish_folder(path: str | os.PathLike[str], fill: Callable[[pathlib.Path], object], *, prefix: str = ".") -> None:
    """Makes a new folder appear whole, by rename; its files are flushed to the disk only where `fill` does so.

    Args:
      path: the folder.
      fill: writes the contents into the folder that it is given.
      prefix: of the temporary folder's name, which is beside `path`: what a kill leaves begins with it.

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
    """Returns a file, opened under an exclusive lock that ends when it is closed or the process ends, however it does.

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


# Finding and reading. What a URL needs is installed separately; what goes wrong is raised as fsspec, or the package
# that it brought in, raises it: an exception of any kind.


def open_file(path: str) -> BinaryIO:
    """Opens a local path or a URL for reading."""
    if "://" not in path:
        return pathlib.Path(path).open("rb")
    file_system, inner = _open_url(path)
    return cast(BinaryIO, file_system.open(inner, "rb"))


def find_files(pattern: str) -> list[str]:
    """Returns the paths or URLs that match a glob pattern, sorted by name; [] when none does."""
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
    """Returns the local path that a URL such as file:///a means; None where it is of another file system."""
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
    """Copies the file at a URL to this machine; two processes that copy to one target do not disturb each other.

    fsspec's own cache would write the file under its last name from the first byte on, and two processes into one.

    Args:
      url: the file.
      target: the file's local path; folders are made.
      check: is given the whole file under a temporary name; the file is dropped when it raises.
      progress: is given the number of bytes so far, and of all or 0 where unknown, after every piece.

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
        # By itself aiohttp ends every request after five minutes, takes no proxy from the environment, and is sent
        # compressed bytes, whose number is not that of the file's.
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=_WEB_TIMEOUT_S, sock_read=_WEB_TIMEOUT_S),
        "trust_env": True,
        "headers": {"User-Agent": "lit-precompute", "Accept-Encoding": "identity"},
    }
    return fsspec.core.url_to_fs(url, client_kwargs=settings)
