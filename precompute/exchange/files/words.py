"""Keys, texts, labels and marks of failed rows in the columns of a foreign table."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lit_precompute.precompute.exchange.files.tables import TableFile
from lit_precompute.precompute.exchange.found import look_at_all
from lit_precompute.precompute.exchange.rows import Fault, Unit
from lit_precompute.precompute.sources.columnar.columns import Column
from lit_precompute.precompute.sources.columnar.conversion import texts_in
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import listed, read_key, read_label, read_texts
from lit_precompute.schemas import TableSchema, captions_table, labels_table

# What img2dataset says of an image that it has.
_SUCCESS = "success"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordNames:
    """Names of columns, in the order in which they are looked for; those of a user's are the only ones.

    Attributes:
      key: of the rows' unique names; none for rows that are numbered.
      texts: of a text, or a list of them.
      label: of the class.
      exists: of whether there is an image.
      error: of why there is none.
    """

    key: Sequence[str] = ("key",)
    texts: Sequence[str] = ("texts", "captions", "caption", "text", "TEXT")
    label: Sequence[str] = ("label",)
    exists: Sequence[str] = ("exists",)
    error: Sequence[str] = ("error", "error_message")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordColumns:
    """The columns of a file that are there."""

    key: Column | None
    texts: Column | None
    label: Column | None
    exists: Column | None
    error: Column | None

    @classmethod
    def find(cls, file: TableFile, names: WordNames) -> WordColumns:
        """Returns the columns of a file."""
        return cls(**{each.name: file.find(getattr(names, each.name)) for each in dataclasses.fields(cls)})

    @property
    def columns(self) -> list[Column]:
        """Returns those that are there."""
        found = (getattr(self, each.name) for each in dataclasses.fields(self))
        return [column for column in found if column is not None]

    @property
    def tables(self) -> list[TableSchema]:
        """The tables that they make."""
        tables = [captions_table()] if self.texts is not None else []
        return [*tables, labels_table()] if self.label is not None else tables

    def read(self, batch: pa.RecordBatch, unit: Unit, first: int) -> Words:
        """Returns the words of a batch whose first row is the unit's row `first`.

        Raises:
          SourceError: a key is missing, or cannot be used.
        """
        values = {
            each.name: texts_in(batch, column)
            for each in dataclasses.fields(self)
            if (column := getattr(self, each.name)) is not None
        }
        if self.key is None:
            keys = [unit_key(unit, first + row) for row in range(batch.num_rows)]
        else:
            keys = [_key(value, self.key.name, unit, first + row) for row, value in enumerate(values["key"])]
        columns: dict[str, dict[str, list[Any]]] = {}
        notes: list[tuple[int, str]] = []
        if self.texts is not None:
            texts = [texts_and_notes(value, self.texts.name) for value in values["texts"]]
            columns["captions"] = {"texts": [found for found, _ in texts]}
            notes += [(row, what) for row, (_, left_out) in enumerate(texts) for what in left_out]
        if self.label is not None:
            labels = [label_and_notes(value, self.label.name) for value in values["label"]]
            columns["labels"] = {"label": [found for found, _ in labels]}
            notes += [(row, what) for row, (_, left_out) in enumerate(labels) for what in left_out]
        return Words(keys, columns, _faults(values), notes)


@dataclasses.dataclass(frozen=True)
class Words:
    """What the columns of a batch say: see `Rows`."""

    keys: list[str]
    columns: Mapping[str, Mapping[str, Sequence[Any]]]
    faults: Mapping[int, Fault]
    notes: Sequence[tuple[int, str]]


def same_tables(paths: Sequence[str], names: WordNames, given: Sequence[tuple[str, str]] = ()) -> list[TableSchema]:
    """Returns the tables of words that some files have, which must be the same in all.

    Args:
      paths: the files.
      names: of the columns.
      given: columns that the user named, or "", with their flags.

    Raises:
      SourceError: a file lacks a column that the first has, or that the user named.
    """

    def look(path: str) -> tuple[str, list[TableSchema]]:
        with TableFile(path) as file:
            for name, flag in given:
                if name:
                    file.require([name], flag)
            words = WordColumns.find(file, names)
            return words.key.name if words.key else "", words.tables

    found = look_at_all(look, paths)
    for path, other in zip(paths, found, strict=True):
        if other != found[0]:
            (key, tables), (first_key, first_tables) = other, found[0]
            raise SourceError(
                f"{path}: has the key {key!r} and columns for {[table.name for table in tables]}, {paths[0]} the key "
                f"{first_key!r} and {[table.name for table in first_tables]}; all files must have the same"
            )
    return found[0][1] if found else []


def columns_left_out(paths: Sequence[str], names: WordNames, also: Collection[str] = ()) -> list[str]:
    """Returns a note of the columns that are not imported, if there are any: those of the first file stand for all.

    Args:
      paths: the files.
      names: of the columns of words.
      also: other columns that are imported.
    """
    if not paths:
        return []
    with TableFile(paths[0]) as file:
        used = {column.top for column in WordColumns.find(file, names).columns}
        unused = [name for name in file.schema.names if name not in used and name not in also]
    return [f"columns that are not imported: {listed(unused)}"] if unused else []


def unit_key(unit: Unit, row: int) -> str:
    """Returns the key of a row without a name: its file's name and its number in it."""
    name = unit.name.rpartition("/")[2]
    return f"{name.rpartition('.')[0] or name}/{unit.start + row}"


def _key(value: Any, name: str, unit: Unit, row: int) -> str:
    if type(value) is str and value:  # decoded from UTF-8, so that nothing else can be wrong
        return value

    def fault(message: str) -> SourceError:
        return SourceError(f"{unit.place(row)}: {message}")

    return read_key({name: value}, name, fault)


def texts_and_notes(value: Any, name: str) -> tuple[list[str], list[str]]:
    """Returns the texts in a value, and what was left out; bytes are texts that are not UTF-8."""
    items = value if isinstance(value, list) else [value]
    if all(type(item) is str for item in items):  # decoded from UTF-8, so that nothing else can be wrong
        return [item for item in items if item], []
    whole = [item for item in items if not isinstance(item, bytes)]
    texts, notes = read_texts({name: whole if isinstance(value, list) else next(iter(whole), None)}, name)
    return texts, notes if len(whole) == len(items) else [*notes, f"{name!r} is not UTF-8, left out"]


def label_and_notes(value: Any, name: str) -> tuple[str, list[str]]:
    """Returns the label in a value, and what was left out."""
    if isinstance(value, bytes):
        return "", [f"{name!r} is not UTF-8, left out"]
    return read_label({name: value}, name)


def _faults(values: Mapping[str, Sequence[Any]]) -> dict[int, Fault]:
    exists = enumerate(values.get("exists", ()))
    faults = {row: Fault("missing", "the source says that there is none") for row, there in exists if there is False}
    for row, message in enumerate(values.get("error", ())):
        if isinstance(message, str) and message.strip() and message != _SUCCESS:
            faults[row] = Fault("failed-at-source", message[:1000])
    return faults
