"""A folder on this machine's disk, or one that is mounted like it; see `Folder`.

Promises: a file is written beside its name and renamed; whoever links it to its name first has created it. File systems
without links (FAT, mounted buckets) have a lock on the folder instead, which holds on one machine.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import shutil
from collections.abc import Sequence

from lit_precompute.schemas.storage.batches import LocalBatch
from lit_precompute.schemas.storage.names import WORK_FOLDER
from lit_precompute.schemas.storage.publishing import is_unfinished, publish, temporary_beside, write_bytes_atomically
from lit_precompute.schemas.storage.reading import FoundFile, describe_local

# What systems say of a link where the file system has none.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


class LocalFolder:
    """See `Folder`."""

    can_list = True

    def __init__(self, path: pathlib.Path):
        self._path = path.absolute()
        self.path = str(self._path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def join(self, name: str) -> str:
        return str(self._path / name)

    def exists(self, name: str) -> bool:
        return (self._path / name).is_file()

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        def read(name: str) -> bytes | None:
            try:
                return self.read(name)
            except FileNotFoundError:
                return None

        return list(map(read, names))

    def write(self, name: str, data: bytes) -> None:
        write_bytes_atomically(self._path / name, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return _give_name(temporary, path)

    def upload(self, local: pathlib.Path, name: str) -> None:
        publish(local, self._path / name)

    def batch(self) -> LocalBatch:
        return LocalBatch(self._path, self.scratch())

    def find(self, name: str = "") -> dict[str, FoundFile]:
        root = self._path / name
        found: dict[str, FoundFile] = {}
        for folder, _, files in os.walk(root):
            within = pathlib.Path(folder).relative_to(root).as_posix()
            prefix = "" if within == "." else f"{within}/"
            for file in files:
                if not is_unfinished(file):
                    found[prefix + file] = describe_local(f"{folder}/{file}")
        return found

    def remove(self, *names: str) -> None:
        for name in names:
            (self._path / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(self._path / name, ignore_errors=True)

    def remove_unfinished(self) -> None:
        for path in self._path.glob(".*"):
            if is_unfinished(path.name):
                path.unlink(missing_ok=True)

    def scratch(self) -> pathlib.Path:
        # On the same file system, so that publishing is a rename.
        folder = self._path / WORK_FOLDER / "temporary"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _give_name(temporary: pathlib.Path, path: pathlib.Path) -> bool:
    """Gives a finished file its name unless there is such a file; returns whether it did."""
    try:
        os.link(temporary, path)  # unlike a rename, it fails if there is a file
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename_under_lock(temporary, path)
    return True


def _rename_under_lock(temporary: pathlib.Path, path: pathlib.Path) -> bool:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # until the folder is closed, even by a kill
        if path.exists():
            return False
        temporary.rename(path)
        return True
    finally:
        os.close(folder)
