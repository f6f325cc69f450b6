"""Claiming a folder, on disk or in a store: it belongs to the one job or training run that a note in it describes.

Promises: a description that differs from the note, and a folder with files but no note, are refused before anything is
written; of concurrent claims the first wins. Not here: what the note says, and locks.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.schemas.json_files import JsonFileError, parse_json_object
from lit_precompute.schemas.storage import Folder, is_url, list_names

_MAX_NAMED = 8
_NOTHING: Mapping[str, Any] = {}


class ClaimError(ValueError):
    """A folder belongs to a different job or run, or contains other files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A folder and the note that says what it belongs to.

    Attributes:
      folder: the folder.
      note: name in the folder of a file with a JSON object.
      kind: what the folder belongs to, for errors.
      own_prefix: prefix of its own files' names before the note exists; a kill may leave such files.
      advice_foreign: what to do if the folder contains other files.
      advice_another: what to do if it belongs to another.
      advice_damaged: what to do if the note is damaged.
      flags: what the user knows values of the note by, where that differs from their dotted names.
      consequences: values that follow from another one, as for `differences`.
    """

    folder: Folder
    note: str
    kind: str
    own_prefix: str
    advice_foreign: str
    advice_another: str
    advice_damaged: str
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    consequences: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    def create(self, description: Mapping[str, Any]) -> None:
        """Writes the note unless there is one: of several at once the first stays."""
        self.folder.create(self.note, _encoded(description))

    def is_made(self) -> bool:
        """Returns whether there is a note."""
        return self.folder.exists(self.note)

    def refuse_foreign_files(self) -> None:
        """Raises ClaimError if there is no note, but foreign files."""
        try:
            files, folders, _ = list_names(self.folder.path)
        except FileNotFoundError:
            return
        names = sorted(name for name in files + folders if not name.startswith(self.own_prefix))
        if names and not self.is_made():
            raise ClaimError(
                f"{self.folder.path}: contains files that do not belong to a {self.kind} ({', '.join(names[:3])}); "
                f"{self.advice_foreign}"
            )

    def refuse_another(self, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        """Raises ClaimError if the request differs from what the folder was found to belong to."""
        words = list(differences(found, asked, self.flags, self.consequences).values())
        if words:
            more = f"; and {len(words) - _MAX_NAMED} more" if len(words) > _MAX_NAMED else ""
            raise ClaimError(
                f"{self.folder.path}: belongs to another {self.kind}: {'; '.join(words[:_MAX_NAMED])}{more}. "
                f"{self.advice_another}"
            )

    def read(self) -> dict[str, Any]:
        """Returns the note.

        Raises:
          FileNotFoundError: there is none.
          ClaimError: it is damaged.
        """
        try:
            return parse_json_object(self.folder.read(self.note), self.folder.join(self.note), self.advice_damaged)
        except JsonFileError as error:
            raise ClaimError(str(error)) from error

    def rewrite(self, description: Mapping[str, Any]) -> None:
        """Replaces the note of an existing claim."""
        self.folder.write(self.note, _encoded(description))


def place_in_the_way(folder: Folder) -> pathlib.Path | None:
    """Returns what keeps a local folder from being made or filled: a file, or a folder that may not be written to.

    None if nothing is known to: some systems say that a folder may be written to, and refuse later; of a store, only
    writing tells.
    """
    if is_url(folder.path):
        return None
    path = pathlib.Path(folder.path)
    place = next(place for place in (path, *path.parents) if place.exists())
    return None if place.is_dir() and os.access(place, os.W_OK | os.X_OK) else place


def refuse_unwritable(folder: Folder, advice: str) -> None:
    """Raises ClaimError, which ends with the advice, if a local folder cannot be made or filled."""
    if (place := place_in_the_way(folder)) is not None:
        why = "may not be written to" if place.is_dir() else "is a file"
        raise ClaimError(f"{folder.path}: {place} {why}; {advice}")


def differences(
    found: Mapping[str, Any],
    asked: Mapping[str, Any],
    flags: Mapping[str, str] = _NOTHING,
    consequences: Mapping[str, Sequence[str]] = _NOTHING,
) -> dict[str, str]:
    """Returns, by dotted name, `name is V there, W was requested` for each value that differs.

    Args:
      found: what is there.
      asked: what was requested.
      flags: names to use instead of dotted ones, of values or of all that begins with `name.`.
      consequences: by name, the names of what follows from it and is not worth a word if it differs as well. A name
        that ends in a dot stands for all that begins with it.
    """
    there, requested = dict(_flatten(found)), dict(_flatten(asked))
    names = [name for name in sorted({*there, *requested}) if there.get(name) != requested.get(name)]
    return {
        name: f"{_flag(name, flags)} is {_short(there.get(name))} there, {_short(requested.get(name))} was requested"
        for name in names
        if not any(_follows(name, cause, consequences) for cause in names)
    }


def _flag(name: str, flags: Mapping[str, str]) -> str:
    if name in flags:
        return flags[name]
    parent = next((parent for parent in flags if name.startswith(f"{parent}.")), None)
    return name if parent is None else f"{flags[parent]} {name.removeprefix(f'{parent}.')}"


def _follows(name: str, cause: str, consequences: Mapping[str, Sequence[str]]) -> bool:
    """Returns whether a value follows from another one."""
    follow = (each for named, names in consequences.items() if _covers(named, cause) for each in names)
    return name != cause and any(_covers(each, name) for each in follow)


def _covers(named: str, name: str) -> bool:
    return name.startswith(named) if named.endswith(".") else name == named


def _encoded(description: Mapping[str, Any]) -> bytes:
    return (json.dumps(description, indent=1) + "\n").encode()


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
