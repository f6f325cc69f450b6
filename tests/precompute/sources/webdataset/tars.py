"""Small tars for tests, and their rows."""

import io
import pathlib
import tarfile
from collections.abc import Iterable

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.source import Example, Source

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


def all_rows(source: Source, rows_per_shard: int = 1000) -> list[Example]:
    """Returns the rows of all units."""
    return [row for unit in source.units(rows_per_shard) for row in source.read(unit)]


def outcome(row: Example) -> bytes | tuple[str, str]:
    """Returns a row's image, or (reason, message) of its failure."""
    try:
        return row.read_image()
    except ImageError as error:
        return error.reason, error.message


def notes(source: Source) -> dict[str, tuple[int, str]]:
    """Returns what belongs to no row: how often, and where first."""
    return {note.what: (note.count, note.first) for note in source.notes}
