"""The texts and the label beside an image: `.txt`, `.json` and `.cls` of its name.

Promises: a line of a `.txt` is a text. JSON that cannot be used loses its words alone; what img2dataset's "files" have
is read as it is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.reading import LargeFileError
from lit_precompute.precompute.sources.files import Opener, read_image
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.values import (
    Words,
    is_python,
    parse_json_as_it_is,
    read_label,
    read_texts,
    short,
    shown_path,
)

_MAX_BYTES = 16 << 20


def read_words(paths: Mapping[str, str], opener: Opener, columns: SourceColumns) -> Words:
    """Returns what the texts beside an image say.

    Args:
      paths: of the texts, by suffix: txt, json, cls.
      opener: opens a path.
      columns: the keys in the JSON.

    Raises:
      ImageError: "unreadable" or "missing", a text cannot be read, or a .txt or .cls is not UTF-8.
    """
    written = _text(paths["txt"], opener) if "txt" in paths else ""
    values, notes = _json(paths["json"], opener) if "json" in paths else ({}, [])
    names = (columns.text, columns.texts, *(("caption",) if columns.is_default("text") else ()))
    texts = [] if any(is_python(written, values.get(name)) for name in names) else written.splitlines()
    for name in names:
        found, left_out = read_texts(values, name)
        texts, notes = texts + found, notes + left_out
    named: dict[str, tuple[str, ...]] = {}
    for column, name in columns.named_columns.items():
        found, left_out = read_texts(values, name)
        named[column], notes = _unique(found), notes + left_out
    label, left_out = (_text(paths["cls"], opener), []) if "cls" in paths else read_label(values, columns.label)
    return Words(_unique(texts), named, label, tuple(dict.fromkeys([*notes, *left_out])))


def _json(path: str, opener: Opener) -> tuple[dict[str, Any], list[str]]:
    """Returns the object in a JSON file, {} if there is none, and notes."""
    try:
        values, repeated = parse_json_as_it_is(_bytes(path, opener).decode("utf-8-sig"), _NotJsonError)
    except (UnicodeDecodeError, _NotJsonError):
        return {}, ["JSON that cannot be parsed, left out"]
    if not isinstance(values, dict):
        return {}, ["JSON that is not an object, left out"]
    return values, (
        [] if repeated is None else [f"{short(repeated)} is repeated in the JSON, all but the last left out"]
    )


class _NotJsonError(ValueError):
    """A file is not JSON."""


def _text(path: str, opener: Opener) -> str:
    try:
        return _bytes(path, opener).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ImageError("unreadable", f"{shown_path(path)}: not UTF-8 at byte {error.start}") from error


def _bytes(path: str, opener: Opener) -> bytes:
    try:
        return read_image(opener, path, _MAX_BYTES)
    except LargeFileError as error:
        raise ImageError("unreadable", f"{shown_path(path)}: a text of over {_MAX_BYTES >> 20} MiB") from error


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(text for text in dict.fromkeys(map(str.strip, texts)) if text)
