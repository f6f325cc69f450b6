"""Files of an export: written on this machine, then given their names in the output."""

from __future__ import annotations

import pathlib

from lit_precompute.schemas.storage import Folder, file_sha256, unique_name


class NewFiles:
    """Files of a part: written on this machine, then given their names in the output, each whole."""

    def __init__(self, folder: Folder):
        """Takes the output."""
        self._folder, self._written = folder, dict[str, pathlib.Path]()

    def path(self, name: str) -> pathlib.Path:
        """Returns where to write a file of a name in the output."""
        assert name not in self._written, f"{name} is written twice"
        return self._written.setdefault(name, self._folder.scratch() / unique_name(name.replace("/", "-")))

    def publish(self) -> dict[str, tuple[int, str]]:
        """Gives the files their names, in the order in which they were begun; returns sizes and SHA-256 by name."""
        found: dict[str, tuple[int, str]] = {}
        for name, path in self._written.items():
            found[name] = (path.stat().st_size, file_sha256(path))
            self._folder.upload(path, name)
        return found

    def discard(self) -> None:
        """Removes what was not published."""
        for path in self._written.values():
            path.unlink(missing_ok=True)
