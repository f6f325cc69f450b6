"""A folder on this machine's disk or in a store, which is read, written and listed by the names in it.

Promises: a file appears whole under its name or not at all, even if the process is killed; nothing depends on renaming,
on the order of a listing, or on a folder existing before its first file; writing the same bytes twice does no harm. Of
several processes that `create` one file, exactly one is told that it did.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Protocol

from lit_precompute.schemas.storage.batches import Batch
from lit_precompute.schemas.storage.file_systems import local_path
from lit_precompute.schemas.storage.local_folder import LocalFolder
from lit_precompute.schemas.storage.names import is_url
from lit_precompute.schemas.storage.reading import FoundFile
from lit_precompute.schemas.storage.remote_folder import RemoteFolder
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience


class Folder(Protocol):
    """A folder; names in it may contain slashes. Picklable, and equal where the paths are."""

    @property
    def path(self) -> str:
        """An absolute path or a URL, without a slash at its end."""
        ...

    @property
    def can_list(self) -> bool:
        """Whether `find` shows what is there: a web server does not tell."""
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

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Returns the bytes of small files, many requested at once; None for each that is not there."""
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

    def batch(self) -> Batch:
        """Returns a batch for many files; `with` ends it."""
        ...

    def find(self, name: str = "") -> dict[str, FoundFile]:
        """Returns all files below a folder in it, by their names within it; none if there is no such folder."""
        ...

    def remove(self, *names: str) -> None:
        """Removes files; those that are not there are ignored."""
        ...

    def remove_folder(self, name: str) -> None:
        """Removes everything below a folder in it."""
        ...

    def remove_unfinished(self) -> None:
        """Removes what killed processes have left of files directly in the folder; no listing shows it."""
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
