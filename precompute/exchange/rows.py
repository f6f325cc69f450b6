"""What a layout gives an import: a plan made from headers alone, and the rows of one unit after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from lit_precompute.schemas import ColumnSchema, SourceFile, TableSchema, VectorType
from lit_precompute.schemas.tables import EMBEDDINGS

# Rows that a reader gives at a time.
BLOCK_ROWS = 1024
TEXT_EMBEDDINGS, TEXT_EMBEDDING = "text-embeddings-imported", "text_embedding"


class Fault(NamedTuple):
    """Why a row of the source cannot be a row of the dataset: a word and a sentence."""

    reason: str
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """Consecutive rows of a unit.

    Attributes:
      keys: their names.
      vectors: [n, D] of each table of vectors, by table.
      columns: of each other table, by table and name.
      faults: by place, the rows that cannot be used whatever their vectors are.
      notes: what was left out of rows, such as a text that is not UTF-8, each with its row's place.
    """

    keys: Sequence[str]
    vectors: Mapping[str, np.ndarray[Any, Any]]
    columns: Mapping[str, Mapping[str, Sequence[Any]]] = dataclasses.field(default_factory=dict)
    faults: Mapping[int, Fault] = dataclasses.field(default_factory=dict)
    notes: Sequence[tuple[int, str]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """A contiguous part of the source that becomes a shard.

    Attributes:
      name: of the file that its rows are counted in, for messages and for the keys of rows without names.
      files: all files that it is read from, in the order that the layout gives them.
      start: its first row within the file.
      stop: the row after its last one; None where only reading tells.
    """

    name: str
    files: tuple[str, ...]
    start: int = 0
    stop: int | None = None

    def place(self, row: int) -> str:
        """Returns where the unit's row is, in words."""
        return f"{self.name}, row {self.start + row}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorTable:
    """A table of vectors that the source has.

    Attributes:
      name: of the table.
      width: numbers in a vector.
      vector_type: the type that loses nothing, or float32.
      tower: what the layout says of the tower, if anything; "" otherwise.
    """

    name: str
    width: int
    vector_type: VectorType
    tower: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """A source whose files were found, counted, and compared with each other.

    Attributes:
      layout: its name.
      path: as given.
      options: how it is read, as JSON.
      files: all of them.
      vectors: the tables of vectors: `embeddings` first, then other towers' embeddings and embeddings of texts.
      tables: the other tables, such as `captions`.
      units: in order.
      notes: what was seen that is no fault, in sentences.
    """

    layout: str
    path: str
    options: Mapping[str, Any]
    files: Sequence[SourceFile]
    vectors: Sequence[VectorTable]
    tables: Sequence[TableSchema]
    units: Sequence[Unit]
    notes: Sequence[str] = ()

    def __post_init__(self):
        assert self.vectors[0].name == EMBEDDINGS, "a plan begins with the embeddings"

    @property
    def num_rows(self) -> int | None:
        """Rows in all; None where only reading tells."""
        counts = [None if unit.stop is None else unit.stop - unit.start for unit in self.units]
        return None if None in counts else sum(count for count in counts if count is not None)


class ImportSource(Protocol):
    """A source of a layout, as the layout's options describe it."""

    def plan(self) -> ImportPlan:
        """Finds the files, reads their headers, and compares counts.

        Raises:
          SourceError: files are missing, of unequal length, or none of this layout.
        """
        ...

    def read(self, unit: Unit) -> Iterator[Rows]:
        """Yields the rows of a unit, a block at a time.

        Raises:
          SourceError: a file is damaged, or not the one that was planned.
        """
        ...


def text_embeddings_table(name: str, width: int, vector_type: VectorType) -> TableSchema:
    """Returns the table of the texts' embeddings, one for each row, as the source's text tower gave them."""
    vectors = ColumnSchema(name=TEXT_EMBEDDING, type="vector", width=width, vector_type=vector_type)
    columns = [ColumnSchema(name="key", type="string"), vectors]
    if vector_type == "int8":
        columns.append(ColumnSchema(name=f"{TEXT_EMBEDDING}_scale", type="scale"))
    return TableSchema(name=name, columns=columns)


def cut_units(name: str, files: Sequence[str], num_rows: int, rows_per_shard: int) -> list[Unit]:
    """Returns the units of a file, or of files of equally many rows."""
    return [
        Unit(name=name, files=tuple(files), start=start, stop=min(start + rows_per_shard, num_rows))
        for start in range(0, num_rows, rows_per_shard)
    ]
