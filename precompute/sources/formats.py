"""What a format of sources declares, and how the format of a path is recognised.

Promises: a path that ends as a format's files do is recognised without any request; a folder is listed once, whatever
the number of formats. A format is one module with a `Format`, and one entry in `opening.FORMATS`.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.listing import expand_braces, has_marks, is_web, without_shard
from lit_precompute.precompute.sources.source import Source, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import FoundFile

MakeSource = Callable[[SourceSpec, str, Opener, Finder], Source]
"""Makes a source from a spec, the name of its format, and how files are opened and found; reads nothing."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A path that a user gave, and what is there.

    Attributes:
      path: as given.
      find: lists what a glob pattern matches.
    """

    path: str
    find: Finder

    @functools.cached_property
    def inside(self) -> Mapping[str, FoundFile]:
        """The files and folders directly in the folder at the path, or that a pattern matches, by name; else none."""
        folder = f"{glob.escape(self.path.rstrip('/'))}/*"
        found = self.find(folder) or (self.find(expand_braces(self.path)[0]) if has_marks(self.path) else {})
        return {path.rstrip("/").rpartition("/")[2]: file for path, file in found.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format of sources, or several that one module reads.

    Attributes:
      names: for --source-format.
      endings: the name by what the names of its files end in, in lower case, such as .csv.gz.
      make: makes the source; imports what it needs when it is called.
      described: what a source of the format is, for a list of them: "a .csv, .tsv or .jsonl table".
      plural: what its options are for: "tables".
      noun: what one of its files is, in a count of them.
      words: what a source is, by its name, where the name alone does not say.
      options: the fields of `SourceSpec` that only some formats have, and this one has.
      in_folder: returns the name of the format if a folder holds it; by default files with its endings decide.
    """

    names: tuple[str, ...]
    endings: Mapping[str, str]
    make: MakeSource
    described: str
    plural: str
    noun: str = "file"
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: frozenset[str] = frozenset()
    in_folder: Callable[[Place], str | None] | None = None

    def named(self, path: str) -> str | None:
        """Returns the name of the format that a path's ending shows, if any."""
        end = without_shard(path)
        if not end.endswith(tuple(self.endings)):
            return None
        return next(name for ending, name in self.endings.items() if end.endswith(ending))

    def found_in(self, place: Place) -> str | None:
        """Returns the name of the format that the contents of a folder show, if any.

        Raises:
          SourceError: there are files of several.
        """
        if self.in_folder is not None:
            return self.in_folder(place)
        names = (self.named(name) for name, file in place.inside.items() if not file.is_folder)
        found = list(dict.fromkeys(name for name in names if name))
        if len(found) > 1:
            raise SourceError(
                f"{place.path}: the folder has files of several formats, {' and '.join(found)}: give one file, or a "
                f"pattern such as {place.path.rstrip('/')}/*.{found[0]}"
            )
        return found[0] if found else None


class Recognised(NamedTuple):
    """A format, its name for --source-format, and how it was recognised, in words."""

    format: Format
    name: str
    how: str


def recognise(spec: SourceSpec, formats: Sequence[Format], find: Finder) -> Recognised:
    """Returns the format of a source: as given, else by its path's ending, else by what is in the folder.

    Raises:
      SourceError: there is no such format, the path shows none, or its folder shows several.
    """
    all_names = ", ".join(name for format in formats for name in format.names)
    if spec.format is not None:
        chosen = next((format for format in formats if spec.format in format.names), None)
        if chosen is None:
            raise SourceError(f"{spec.path}: --source-format must be one of {all_names}, got {spec.format!r}")
        return Recognised(chosen, spec.format, "as given")
    for format in formats:
        if name := format.named(spec.path):
            return Recognised(format, name, f"by its name, {spec.path.rpartition('/')[2]}")
    place = Place(spec.path, find)
    for format in formats:
        if name := format.found_in(place):
            _check_alone(place, name, formats)
            return Recognised(format, name, "by the files in it")
    if not is_web(spec.path):
        _check_holds_files(place)
    described = ", ".join(format.described for format in formats)
    raise SourceError(
        f"{spec.path}: unknown format; {_hint(spec.path)}a source is {described}, or a folder or pattern of them; for "
        f"any other file name, set --source-format to one of {all_names}"
    )


def _check_alone(place: Place, chosen: str, formats: Sequence[Format]) -> None:
    """Checks that the files of one format are all that a folder has of rows; files beside them may bear their names.

    Raises:
      SourceError: files of another format would be left out.
    """
    names = [name for name, file in place.inside.items() if not file.is_folder and not name.startswith(".")]
    kinds = {name: kind for format in formats for name in names if (kind := format.named(name))}
    stems = {name.partition(".")[0] for name, kind in kinds.items() if kind == chosen}
    # 00000.parquet beside 00000.tar is img2dataset's list of what it tried to download.
    others = [name for name in kinds if kinds[name] != chosen and name.partition(".")[0] not in stems]
    if stems and others:
        pattern = _pattern(place.path, next(name for name in kinds if kinds[name] == chosen))
        raise SourceError(
            f"{place.path}: the folder has files of {chosen} and others, such as {others[0]}, which would be left out: "
            f"give a pattern, such as {pattern}, or --source-format {chosen} to leave them out"
        )


def _pattern(path: str, name: str) -> str:
    folder = path if not has_marks(path) else path.rpartition("/")[0]
    return f"'{folder.rstrip('/')}/*.{name.partition('.')[2]}'"


def _check_holds_files(place: Place) -> None:
    """Raises SourceError if there is nothing at a path, or an empty folder."""
    if place.inside:
        return
    if has_marks(place.path):
        raise SourceError(f"{place.path}: no such files")
    found = place.find(glob.escape(place.path.rstrip("/")))
    if not found:
        raise SourceError(f"{place.path}: no such file or folder; check the path")
    if any(file.is_folder for file in found.values()):
        raise SourceError(f"{place.path}: the folder is empty; hidden files do not count")


def _hint(path: str) -> str:
    """Returns what to do with a kind of file that is often taken for a source, and is none."""
    lower = path.lower()
    if lower.endswith(".json"):
        return "write JSON as lines, one object for each image (.jsonl); "
    if lower.endswith((".jpg", ".jpeg", ".png", ".webp")):
        return "give the folder of an image, or a table that lists it; "
    return ""


def check_options(spec: SourceSpec, chosen: Recognised, formats: Sequence[Format]) -> None:
    """Raises SourceError if an option is given that the format does not have."""
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        owners = [format.plural for format in formats if field.name in format.options]
        if owners and value != field.default and field.name not in chosen.format.options:
            flag = f"--{field.name.replace('_', '-')}" + ("" if value is True else f" {value}")
            raise SourceError(f"{spec.path}: {flag} is for {' and '.join(owners)}, and this is {chosen.name}")
