"""A folder on this machine's disk or in a store, which is read, written and listed by the names in it.

Promises: a file appears whole under its name or not at all, even if the process is killed; nothing depends on renaming,
on the order of a listing, or on a folder existing before its first file; writing the same bytes twice does no harm. Of
several processes that `create` one file, exactly one is told that it did.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from lit_precompute.schemas.storage.file_systems import local_path, open_file_system
from lit_precompute.schemas.storage.names import WORK_FOLDER, is_url
from lit_precompute.schemas.storage.publishing import publish, unique_name, write_bytes_atomically
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience, with_patience


class FoundFile(NamedTuple):
    """A file as a listing describes it: its size, and what differs once it has changed (time, generation, ETag).

    The size is None where the listing does not say, and for a folder; the version is then "".
    """

    num_bytes: int | None
    version: str
    is_folder: bool = False


class Folder(Protocol):
    """A folder; names in it may contain slashes. Picklable, and equal where the paths are."""

    @property
    def path(self) -> str:
        """An absolute path or a URL, without a slash at its end."""
        ...

    def join(self, name: str) -> str:
        """Returns the path or URL of a file in it."""
        ...

    def exists(self, name: str) -> bool:
        """Returns whether there is such a file."""
        ...

    def read(self, name: str) -> bytes:
        """Returns a file's bytes.

        Raises:
          FileNotFoundError: there is no such file.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Writes a file, or replaces it."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Writes a file unless there is one; returns whether it did."""
        ...

    def upload(self, local: pathlib.Path, name: str) -> None:
        """Moves a local file here; it was made in `scratch()`."""
        ...

    def find(self, name: str = "") -> dict[str, FoundFile]:
        """Returns all files below a folder in it, by their names within that folder; none if there is no such folder."""
        ...

    def remove(self, *names: str) -> None:
        """Removes files; those that are not there are ignored."""
        ...

    def remove_folder(self, name: str) -> None:
        """Removes everything below a folder in it."""
        ...

    def scratch(self) -> pathlib.Path:
        """Returns a local folder, which exists, for files that will be uploaded."""
        ...


def open_folder(path: str | os.PathLike[str], *, patience: Patience = DEFAULT_PATIENCE) -> Folder:
    """Returns the folder at a local path or URL; it need not exist.

    Raises:
      StorageError: the URL's scheme is unknown, or its package is not installed.
    """
    text = os.fspath(path)
    local = local_path(text) if is_url(text) else pathlib.Path(text)
    return LocalFolder(local) if local is not None else RemoteFolder(text, patience)


class LocalFolder:
    """See `Folder`."""

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

    def write(self, name: str, data: bytes) -> None:
        write_bytes_atomically(self._path / name, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(unique_name(f".{path.name}"))
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename, it fails if there is a file
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def upload(self, local: pathlib.Path, name: str) -> None:
        publish(local, self._path / name)

    def find(self, name: str = "") -> dict[str, FoundFile]:
        root = self._path / name
        found: dict[str, FoundFile] = {}
        for folder, _, files in os.walk(root):
            for file in files:
                path = pathlib.Path(folder, file)
                stat = path.stat()
                found[path.relative_to(root).as_posix()] = FoundFile(stat.st_size, str(stat.st_mtime_ns))
        return found

    def remove(self, *names: str) -> None:
        for name in names:
            (self._path / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(self._path / name, ignore_errors=True)

    def scratch(self) -> pathlib.Path:
        # On the same file system, so that publishing is a rename.
        folder = self._path / WORK_FOLDER / "temporary"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class RemoteFolder:
    """See `Folder`."""

    def __init__(self, url: str, patience: Patience):
        self.path = url.rstrip("/")
        self._patience = patience

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def join(self, name: str) -> str:
        return f"{self.path}/{name}"

    def exists(self, name: str) -> bool:
        return self._ask(name, lambda files, path: files.isfile(path))

    def read(self, name: str) -> bytes:
        return self._ask(name, lambda files, path: files.cat_file(path))

    def write(self, name: str, data: bytes) -> None:
        self._ask(name, lambda files, path: files.pipe_file(path, data))

    def create(self, name: str, data: bytes) -> bool:
        def attempt(files: Any, path: str) -> bool:
            try:
                files.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            return True

        return self._ask(name, attempt)

    def upload(self, local: pathlib.Path, name: str) -> None:
        self._ask(name, lambda files, path: files.put_file(str(local), path))
        local.unlink()

    def find(self, name: str = "") -> dict[str, FoundFile]:
        def attempt(files: Any, path: str) -> dict[str, FoundFile]:
            files.invalidate_cache()
            found = files.find(path, detail=True)
            prefix = path.rstrip("/") + "/"
            return {
                each.removeprefix(prefix): FoundFile(details["size"], str(files.ukey(each)))
                for each, details in found.items()
            }

        return self._ask(name, attempt)

    def remove(self, *names: str) -> None:
        for name in names:
            try:
                self._ask(name, lambda files, path: files.rm_file(path))
            except FileNotFoundError:
                continue

    def remove_folder(self, name: str) -> None:
        self.remove(*(f"{name}/{each}" for each in self.find(name)))

    def scratch(self) -> pathlib.Path:
        folder = pathlib.Path(tempfile.gettempdir()) / "lit-precompute"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _ask(self, name: str, question: Callable[[Any, str], Any]) -> Any:
        url = self.join(name) if name else self.path

        def ask() -> Any:
            return question(*open_file_system(url, self._patience.timeout_s))

        return with_patience(url, ask, self._patience)
