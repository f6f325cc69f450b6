"""What rows of a file say of images, as columns of a table, and the table's rows, put together from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from lit_precompute.precompute.sources.keyed import KeyedRow
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.tables import ColumnSchema, TableSchema, captions_table, labels_table

TEXTS, LANGUAGE = "texts", "language"


class Content(Protocol):
    """What is taken from the rows of a file."""

    @property
    def table(self) -> TableSchema:
        """The table that it becomes."""
        ...

    def values(self, rows: Sequence[KeyedRow]) -> dict[str, list[Any]]:
        """Returns the values of some rows by column, without the key."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captions:
    """The table `captions`: texts, named texts and, if `has_languages`, the language of each text."""

    named: Sequence[str] = ()
    has_languages: bool = False
    name: str = "captions"

    @property
    def table(self) -> TableSchema:
        """See `Content`."""
        languages = [LANGUAGE] if self.has_languages else []
        return captions_table([*languages, *self.named]).model_copy(update={"name": self.name})

    def values(self, rows: Sequence[KeyedRow]) -> dict[str, list[Any]]:
        """See `Content`."""
        columns: dict[str, list[Any]] = {TEXTS: [row.texts for row in rows]}
        if self.has_languages:
            columns[LANGUAGE] = [_languages(row) for row in rows]
        return columns | {name: [row.named.get(name, ()) for row in rows] for name in self.named}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labels:
    """The table `labels`."""

    @property
    def table(self) -> TableSchema:
        """See `Content`."""
        return labels_table()

    def values(self, rows: Sequence[KeyedRow]) -> dict[str, list[Any]]:
        """See `Content`."""
        return {"label": [row.label for row in rows]}


def stored_schema(table: TableSchema) -> pa.Schema:
    """Returns the columns of a table without the key."""
    return pa.schema([column.field() for column in table.columns[1:]])


def put_together(table: TableSchema, keys: pa.Array, first_row: int, found: pa.Table) -> pa.RecordBatch:
    """Returns consecutive rows of a table.

    Args:
      table: the table.
      keys: of its rows.
      first_row: number of the first.
      found: the column `row`, ascending, and the table's others: what belongs to these rows. Several texts of a row are
        joined; a row without any has none, and so has one without a label.
    """
    owners = found["row"].to_numpy() - first_row
    columns = [_column(column, found[column.name], owners, keys) for column in table.columns[1:]]
    return pa.RecordBatch.from_arrays([keys, *columns], schema=table.arrow_schema())


def _column(column: ColumnSchema, found: pa.ChunkedArray, owners: Int64[np.ndarray, " n"], keys: pa.Array) -> pa.Array:
    num_rows = len(keys)
    values = pa.concat_arrays([pa.array([], found.type), *found.chunks])
    if column.type == "list<string>":
        if column.name not in (TEXTS, LANGUAGE) and len(np.unique(owners)) < len(owners):
            return _distinct(column, values, owners, num_rows)
        lengths = np.asarray(pc.call_function("list_value_length", [values]), np.int64)
        counts = np.bincount(owners, weights=lengths, minlength=num_rows).astype(np.int64)
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values.flatten(), type=column.field().type)
    places = np.full(num_rows, -1)
    places[owners[::-1]] = np.arange(len(owners))[::-1]  # the first of a row's
    taken = values.take(pa.array(places, mask=places < 0))
    if column.type != "string":
        return taken
    _check_same(column, keys, values, places, owners)
    return taken.fill_null("")


def _check_same(
    column: ColumnSchema,
    keys: pa.Array,
    values: pa.Array,
    places: Int64[np.ndarray, " rows"],
    owners: Int64[np.ndarray, " n"],
) -> None:
    """Raises SourceError if gathered rows of a key say different things where there can be only one."""
    first = values.take(pa.array(places[owners]))
    differ = pc.call_function("not_equal", [first, values]).to_numpy(zero_copy_only=False)
    if differ.any():
        at = int(np.argmax(differ))
        raise SourceError(
            f"{keys[owners[at]].as_py()!r} has the {column.name}s {first[at].as_py()!r} and {values[at].as_py()!r}; "
            "rows of one key must agree"
        )


def _distinct(column: ColumnSchema, values: pa.Array, owners: Int64[np.ndarray, " n"], num_rows: int) -> pa.Array:
    """Returns named texts of gathered rows, each once: a title is the same in each row of an image."""
    lists: list[dict[str, None]] = [{} for _ in range(num_rows)]
    for owner, texts in zip(owners.tolist(), values.to_pylist(), strict=True):
        lists[owner].update(dict.fromkeys(texts))
    return pa.array([list(each) for each in lists], column.field().type)


def _languages(row: KeyedRow) -> Sequence[str]:
    """Returns the language of each of a row's texts; "" where it is not told."""
    languages, num_texts = row.named.get(LANGUAGE, ()), len(row.texts)
    if len(languages) not in (0, 1, num_texts):
        raise SourceError(
            f"{row.key!r} has {num_texts} texts and {len(languages)} languages; give one language for all of its "
            "texts, or one for each"
        )
    return language_of_each(languages, num_texts)


def language_of_each(languages: Sequence[str], num_texts: int) -> Sequence[str]:
    """Returns the language of each text: those given, one for all, or "" if neither is told."""
    if len(languages) == num_texts:
        return languages
    return [languages[0] if len(languages) == 1 else ""] * num_texts
