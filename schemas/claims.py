"""Claiming a directory: it belongs to the one job or training run that a note in it describes.

Promises: a description that differs from the note, and a directory with files but no note, are refused before anything
is written; of two concurrent claims whose note has a folder of its own, the first wins. Not here: what the note says,
and locks.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from lit_precompute.schemas.json_files import JsonFileError, read_json_object
from lit_precompute.schemas.storage import publish_folder, write_text_atomically

_MAX_NAMED = 8


class ClaimError(ValueError):
    """A directory belongs to a different job or run, or contains other files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A directory and the note that says what it belongs to.

    Attributes:
      directory: the directory.
      note: a file with a JSON object, in the directory or in a folder of its own there, which appears with the note.
      kind: what the directory belongs to, for errors.
      own_prefix: prefix of its own files' names before the note exists; a kill may leave such files.
      advice_foreign: what to do if the directory contains other files.
      advice_another: what to do if it belongs to another.
      advice_damaged: what to do if the note is damaged.
      flags: what the user knows values of the note by, where that differs from their dotted names.
    """

    directory: pathlib.Path
    note: pathlib.Path
    kind: str
    own_prefix: str
    advice_foreign: str
    advice_another: str
    advice_damaged: str
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def make(self, description: Mapping[str, Any]) -> None:
        """Writes the note, or checks that the existing one equals the description.

        Raises:
          ClaimError: the directory belongs to another (each difference with both values), or contains other files.
        """
        if not self.note.exists():
            self.refuse_foreign_files()
            self._begin(description)
        try:
            found = self.read()
        except FileNotFoundError as error:
            raise ClaimError(
                f"{self.note.parent}: does not belong to a {self.kind}; remove it, or {self.advice_foreign}"
            ) from error
        self.refuse_another(found, description)

    def refuse_foreign_files(self) -> None:
        """Raises ClaimError if there is no note, but foreign files."""
        paths = self.directory.iterdir() if self.directory.exists() else ()
        names = sorted(path.name for path in paths if not path.name.startswith(self.own_prefix))
        if names and not self.note.exists():
            raise ClaimError(
                f"{self.directory}: contains files that do not belong to a {self.kind} ({', '.join(names[:3])}); "
                f"{self.advice_foreign}"
            )

    def refuse_another(self, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        """Raises ClaimError if the request differs from what the directory was found to belong to."""
        words = list(differences(found, asked, self.flags).values())
        if words:
            more = f"; and {len(words) - _MAX_NAMED} more" if len(words) > _MAX_NAMED else ""
            raise ClaimError(
                f"{self.directory}: belongs to another {self.kind}: {'; '.join(words[:_MAX_NAMED])}{more}. "
                f"{self.advice_another}"
            )

    def read(self) -> dict[str, Any]:
        """Returns the note.

        Raises:
          FileNotFoundError: there is none.
          ClaimError: it is damaged.
        """
        try:
            return read_json_object(self.note, self.advice_damaged)
        except JsonFileError as error:
            raise ClaimError(str(error)) from error

    def rewrite(self, description: Mapping[str, Any]) -> None:
        """Replaces the note of an existing claim."""
        _write(self.note, description)

    def _begin(self, description: Mapping[str, Any]) -> None:
        folder = self.note.parent
        if folder == self.directory:
            _write(self.note, description)
            return
        with contextlib.suppress(FileExistsError):  # another claim was first, or the folder is foreign
            publish_folder(folder, lambda made: _write(made / self.note.name, description), prefix="")


def place_in_the_way(path: pathlib.Path) -> pathlib.Path | None:
    """Returns what keeps a folder from being made or filled at a path: a file, or a folder that may not be written to.

    None if nothing is known to; some systems say that a folder may be written to, and refuse later.
    """
    place = next(place for place in (path, *path.absolute().parents) if place.exists())
    return None if place.is_dir() and os.access(place, os.W_OK | os.X_OK) else place


def differences(
    found: Mapping[str, Any], asked: Mapping[str, Any], flags: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns, by dotted name, `name is V there, W was requested` for each value that differs; `flags` rename."""
    flags = flags or {}
    there, requested = dict(_flatten(found)), dict(_flatten(asked))
    return {
        name: f"{flags.get(name, name)} is {_short(there.get(name))} there, {_short(requested.get(name))} was requested"
        for name in sorted({*there, *requested})
        if there.get(name) != requested.get(name)
    }


def _write(path: pathlib.Path, description: Mapping[str, Any]) -> None:
    write_text_atomically(path, json.dumps(description, indent=1) + "\n")


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from _flatten({str(place): item for place, item in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
