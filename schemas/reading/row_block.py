"""Rows of a dataset in memory, consecutive or chosen, column by column."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDING
from lit_precompute.schemas.vectors import StoredVectors, scale_column, to_numpy


@dataclasses.dataclass(frozen=True)
class RowBlock:
    """Columns of equally many rows.

    Vectors are NumPy arrays [n, D] in the stored type, read-only, and so are the scales [n] of int8 vectors; strings
    and lists of strings are Arrow arrays. `vectors` gives float32 of any stored type.
    `first_row` is the number of the first row in the dataset, or -1 for rows that were chosen one by one.
    """

    first_row: int
    num_rows: int
    columns: Mapping[str, Any]

    @classmethod
    def from_arrow(
        cls, first_row: int, num_rows: int, columns: Mapping[str, Any], fields: Mapping[str, pa.Field]
    ) -> "RowBlock":
        """Returns Arrow columns as a block; vectors become views."""
        views: dict[str, Any] = {}
        for name, column in columns.items():
            if pa.types.is_fixed_size_list(column.type):
                views[name] = to_numpy(column, fields[name])
            else:
                views[name] = column.to_numpy() if pa.types.is_float32(column.type) else column
        return cls(first_row, num_rows, views)

    def __getitem__(self, column: str) -> Any:
        """Returns one column."""
        return self.columns[column]

    def stored(self, column: str = EMBEDDING) -> StoredVectors:
        """Returns a column of vectors with its scales, as stored, without a copy.

        Raises:
          DatasetError: not a vector column, or int8 without its scales.
        """
        numbers, scales = self.columns[column], self.columns.get(scale_column(column))
        if not isinstance(numbers, np.ndarray) or numbers.ndim != 2:
            raise DatasetError(f"column '{column}' is not a vector column")
        if numbers.dtype == np.int8 and scales is None:
            raise DatasetError(f"int8 vectors '{column}' need their scales, '{scale_column(column)}': read both")
        return StoredVectors(numbers, scales if numbers.dtype == np.int8 else None)

    def vectors(self, column: str = EMBEDDING) -> np.ndarray[Any, Any]:
        """Returns a column of vectors as float32 [n, D], whatever is stored; without a copy if that is float32.

        Raises:
          DatasetError: not a vector column, or int8 without its scales.
        """
        return self.stored(column).to_float32()

    def slice(self, start: int, stop: int) -> "RowBlock":
        """Returns rows [start, stop) of this block, without a copy."""
        cut = {
            name: column[start:stop] if isinstance(column, np.ndarray) else column.slice(start, stop - start)
            for name, column in self.columns.items()
        }
        return RowBlock(self.first_row + start, stop - start, cut)

    def take(self, places: Any) -> "RowBlock":
        """Returns the rows at these places of this block, in the given order."""
        taken = {
            name: column[places] if isinstance(column, np.ndarray) else column.take(pa.array(places))
            for name, column in self.columns.items()
        }
        return RowBlock(-1, len(places), taken)

    def to_rows(self) -> list[dict[str, Any]]:
        """Returns the rows as dictionaries; vectors stay NumPy."""
        lists = {
            name: list(column) if isinstance(column, np.ndarray) else column.to_pylist()
            for name, column in self.columns.items()
        }
        return [{name: values[row] for name, values in lists.items()} for row in range(self.num_rows)]


def concatenate(pieces: Sequence[RowBlock]) -> RowBlock:
    """Returns the blocks joined in order; a single block is returned as it is."""
    if len(pieces) == 1:
        return pieces[0]
    joined: dict[str, Any] = {}
    for name, first in pieces[0].columns.items():
        columns = [piece.columns[name] for piece in pieces]
        joined[name] = np.concatenate(columns) if isinstance(first, np.ndarray) else pa.concat_arrays(columns)
    return RowBlock(pieces[0].first_row, sum(piece.num_rows for piece in pieces), joined)
