"""Rows from the columns of a record batch.

Promises: a null text is an absent text, a null image a failed row; a text or label that cannot be used loses nothing
but itself, with a note. A key is strict.
"""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from lit_precompute.precompute.images.errors import ImageError, Reason
from lit_precompute.precompute.sources.columnar.columns import Column
from lit_precompute.precompute.sources.columnar.conversion import bytes_in, texts_in
from lit_precompute.precompute.sources.columnar.layout import Layout
from lit_precompute.precompute.sources.values import read_key, read_label

FaultOfRow = Callable[[int, str], Exception]
"""Returns the error about a row of a batch: its position in it, and what is wrong."""


@dataclasses.dataclass(frozen=True)
class HeldImage:
    """Reads an image whose bytes came with its row; see `ReadImage`."""

    data: bytes = dataclasses.field(repr=False)

    def __call__(self, max_bytes: int | None = None) -> bytes:
        """Returns the bytes, however many: they are in memory already."""
        return self.data


@dataclasses.dataclass(frozen=True)
class NoImage:
    """Reads an image that is not there; see `ReadImage`."""

    reason: Reason
    message: str

    def __call__(self, max_bytes: int | None = None) -> bytes:
        """Raises ImageError."""
        raise ImageError(self.reason, self.message)


class Row(NamedTuple):
    """The contents of one row. `key` and `path` are "" for none; `image` says why there is none if `path` is "" too."""

    key: str
    path: str
    image: HeldImage | NoImage
    texts: tuple[str, ...]
    named: dict[str, tuple[str, ...]]
    label: str
    notes: tuple[str, ...]


def read_rows(batch: pa.RecordBatch, layout: Layout, fault: FaultOfRow) -> Iterator[Row]:
    """Yields the rows of a batch that has all columns of the layout.

    Raises:
      Exception: `fault`'s, for a row without the key that it must have.
    """
    keys = read_keys(batch, layout, fault)
    images = list(_images(batch, layout))
    texts = {column: texts_in(batch, column) for column in dict.fromkeys((*layout.texts, *layout.named.values()))}
    labels = None if layout.label is None else texts_in(batch, layout.label)
    for index, (path, image, image_notes) in enumerate(images):
        notes = [*layout.notes, *image_notes]
        yield Row(
            key=keys[index],
            path=path,
            image=image,
            texts=tuple(text for column in layout.texts for text in _texts(texts[column][index], column, notes)),
            named={name: tuple(_texts(texts[of][index], of, notes)) for name, of in layout.named.items()},
            label="" if labels is None else _label(labels[index], layout, notes),
            notes=tuple(dict.fromkeys(notes)),
        )


def read_keys(batch: pa.RecordBatch, layout: Layout, fault: FaultOfRow) -> list[str]:
    """Returns the key of each row; "" where the row's number is its key."""
    if layout.key is not None:
        name = layout.key.name
        values = texts_in(batch, layout.key)
        return [read_key({name: value}, name, lambda message, i=i: fault(i, message)) for i, value in enumerate(values)]
    if layout.has_paths:
        return [_usable_path(value)[0] for value in texts_in(batch, layout.image)]
    return [""] * batch.num_rows


def _images(batch: pa.RecordBatch, layout: Layout) -> Iterator[tuple[str, HeldImage | NoImage, list[str]]]:
    """Yields (path, image, notes) per row."""
    absent = _reasons(batch, layout)
    column = layout.image
    data: list[Any] = [None] * batch.num_rows
    paths: list[Any] = [None] * batch.num_rows
    if layout.image_kind == "path":
        paths = texts_in(batch, column)
    elif layout.image_kind == "beside":
        status = texts_in(batch, layout.status[0])
        paths = [
            name if word == "success" else None for name, word in zip(texts_in(batch, column), status, strict=True)
        ]
    elif layout.image_kind == "bytes":
        data = bytes_in(batch, column)
    elif layout.image_kind == "struct":
        data = bytes_in(batch, column, "bytes")
        if column.type.get_field_index("path") >= 0:
            paths = texts_in(batch, column, "path")
    for encoded, path, reason in zip(data, paths, absent, strict=True):
        notes: list[str] = []
        one, other = _first(encoded, column, notes), _first(path, column, notes)
        if one is not None:
            yield "", HeldImage(one), notes
        else:
            usable, fault = _usable_path(other)
            yield usable, NoImage("missing", f"no image: {fault}" if fault else reason), notes


def _first(value: Any, column: Column, notes: list[str]) -> Any:
    """Returns the first of a row's images, where there may be several."""
    if not column.is_list or value is None:
        return value
    if len(value) > 1:
        notes.append(f"{column.name!r} has several images, only the first is used")
    return value[0] if value else None


def _usable_path(value: Any) -> tuple[str, str]:
    """Returns (path, "") or ("", what is wrong with it)."""
    if isinstance(value, bytes):
        return "", "the path is not UTF-8"
    if value is None or not value.strip():
        return "", ""
    return ("", "the path contains a NUL character") if "\0" in value else (value, "")


def _reasons(batch: pa.RecordBatch, layout: Layout) -> list[str]:
    """Returns why each row has no image, if it has none."""
    if not layout.status:
        return [f"no image: {layout.image.name!r} is null"] * batch.num_rows
    said = zip(*(texts_in(batch, column) for column in layout.status), strict=True)
    return [": ".join(word for word in ("no image", *words) if isinstance(word, str) and word) for words in said]


def _texts(value: Any, column: Column, notes: list[str]) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and item:
            yield item
        elif isinstance(item, bytes):
            notes.append(f"{column.name!r} is not UTF-8, left out")


def _label(value: Any, layout: Layout, notes: list[str]) -> str:
    assert layout.label is not None
    name = layout.label.name
    if isinstance(value, bytes):
        notes.append(f"{name!r} is not UTF-8, left out")
        return ""
    if isinstance(value, decimal.Decimal):
        if value != value.to_integral_value():
            notes.append(f"{name!r} is not a whole number, left out")
            return ""
        value = int(value)
    if layout.class_names is not None and isinstance(value, int):
        if 0 <= value < len(layout.class_names):
            return layout.class_names[value]
        if value != -1:  # what `datasets` writes where the class is not told
            notes.append(f"{name!r} has a number that no class has, left out")
        return ""
    label, label_notes = read_label({name: value}, name)
    notes += label_notes
    return label
