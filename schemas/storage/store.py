"""What writers ask of a store; `stores` has those that there are."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class Store(Protocol):
    """How objects are written through an fsspec driver, `files`."""

    def put(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        """Writes an object, or replaces it."""
        ...

    def upload(self, files: Any, path: str, local: pathlib.Path) -> None:
        """Writes an object from a local file, or replaces it."""
        ...

    def send(self, files: Any, path: str, data: bytes) -> None:
        """Writes an object, or replaces it, whose size and checksum will be looked up in a listing."""
        self.put(files, path, data, "")

    def send_file(self, files: Any, path: str, local: pathlib.Path) -> None:
        """The same from a local file."""
        self.upload(files, path, local)

    def checksum(self, pieces: Iterable[bytes]) -> str:
        """Returns the checksum that a listing shows of these bytes; "" where it shows none."""
        del pieces
        return ""

    def listed_checksum(self, details: Mapping[str, Any]) -> str:
        """Returns the checksum in an entry of a listing; "" where there is none."""
        del details
        return ""

    def create(self, files: Any, path: str, data: bytes, attempt: str) -> None:
        """Writes an object; raises FileExistsError if there is one."""
        ...

    def is_of(self, files: Any, path: str, attempt: str) -> bool:
        """Returns whether an existing object was created by an attempt, whose answer was lost."""
        ...

    def size(self, files: Any, path: str) -> int:
        """Returns the size of an object, by one request."""
        return files.info(path)["size"]

    def remove(self, files: Any, paths: Sequence[str]) -> None:
        """Removes objects; those that are not there are ignored."""
        ...

    def remove_unfinished(self, files: Any, path: str) -> None:
        """Removes what killed processes have left of files directly in a folder, where a store shows such files."""
