"""Small tars for tests, and their rows."""

import io
import pathlib
import pickle
import tarfile
from collections.abc import Iterable
from typing import Any

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.looking import LookedSource, look_into
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import Example, Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import find_described, open_file

Content = bytes | str | tuple[bytes, str]
"""Data, a text, or (type of the member, target of the link)."""


def write_tar(path: pathlib.Path, members: Iterable[tuple[str, Content]], format: int = tarfile.GNU_FORMAT) -> str:
    """Writes a tar of (name, content), in order, and returns its path."""
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            data = content.encode() if isinstance(content, str) else content
            if isinstance(data, tuple):
                (info.type, info.linkname), data = data, b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def hard(target: str) -> Content:
    """Returns a hard link."""
    return tarfile.LNKTYPE, target


def symbolic(target: str) -> Content:
    """Returns a symbolic link."""
    return tarfile.SYMTYPE, target


def make_tars(path: str, *, opener: Opener = open_file, find: Finder = find_described, **options: Any) -> Source:
    """Returns the source of tars; `options` are fields of `SourceSpec`."""
    return make_source(SourceSpec(path, **{"format": "webdataset", **options}), opener=opener, find=find)


def open_tars(path: str, *, rows_per_slice: int = 1000, **options: Any) -> LookedSource:
    """Returns a source of tars whose files have all been looked into."""
    return look_into(make_tars(path, **options), rows_per_slice)


def units_of(looked: LookedSource, rows_per_unit: int = 1000) -> list[list[Example]]:
    """Returns the rows of each unit, read as a worker does: from a pickled source."""
    worker = pickle.loads(pickle.dumps(looked.source))
    tables = looked.survey.tables
    return [[row for part in unit.files for row in worker.read(part, tables)] for unit in looked.units(rows_per_unit)]


def all_rows(looked: LookedSource) -> list[Example]:
    """Returns the rows of all slices."""
    return [row for rows in units_of(looked) for row in rows]


def outcome(row: Example) -> bytes | tuple[str, str]:
    """Returns a row's image, or (reason, message) of its failure."""
    try:
        return row.read_image()
    except ImageError as error:
        return error.reason, error.message


def notes(looked: LookedSource) -> dict[str, tuple[int, str]]:
    """Returns what belongs to no row: how often, and where first."""
    return {note.what: (note.count, note.first) for look in looked.looks for note in look.notes}


def contents(looked: LookedSource) -> list[str]:
    """Returns what identifies the content of each tar."""
    return [look.content for look in looked.looks]


def has_labels(looked: LookedSource) -> bool:
    """Returns whether the source has labels."""
    return looked.survey.tables[-1].name == "labels"
