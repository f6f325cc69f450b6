"""Reading the rows that a selection names, and no block without any.

Promises: rows come in the dataset's order, each with its number there.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.sharing.selecting.bits import selected_rows
from lit_precompute.schemas.sharing.selection import Rows, Selection
from lit_precompute.schemas.storage import DatasetError


def open_selection(path: str, dataset: EmbeddingDataset) -> Selection:
    """Returns the selection in a file, with at least one row, all of this dataset.

    Raises:
      FileNotFoundError: there is no such file.
      DatasetError: it is no selection, of another dataset, or empty.
    """
    selection = Selection.open(path)
    check_selection(selection, dataset, path)
    return selection


def check_selection(selection: Selection, dataset: EmbeddingDataset, where: str = "selection") -> None:
    """Raises DatasetError, with a message that begins with `where`, if a selection is of another dataset, or empty."""
    selection.check(dataset.manifest, where)
    if not selection.num_selected:
        raise DatasetError(f"{where}: none of the {dataset.num_rows:,} rows of {dataset.path} is selected")


def rows_of(selection: Selection) -> Rows:
    """Returns the numbers of all selected rows, ascending: 8 bytes a row."""
    return np.concatenate([np.zeros(0, np.int64), *selected_rows(selection)])


def blocks_of(
    dataset: EmbeddingDataset, columns: Sequence[str], selection: Selection | None
) -> Iterator[tuple[Rows, RowBlock]]:
    """Yields the numbers of some rows, and these rows, for each block that has selected ones (None: of all rows).

    Raises:
      DatasetError: the selection is of another dataset, or empty.
    """
    if selection is not None:
        check_selection(selection, dataset)
    spans = map(dataset.block_span, range(dataset.num_blocks))
    selected = (selection is None or selection.mask(*span).any() for span in spans)
    dataset.fetch_ahead(itertools.compress(range(dataset.num_blocks), selected), columns)
    for block in range(dataset.num_blocks):
        start, stop = dataset.block_span(block)
        rows = np.arange(start, stop) if selection is None else selection.rows(start, stop)
        if len(rows) == stop - start:
            yield rows, dataset.read_block(block, columns)
        elif len(rows):
            yield rows, dataset.read_block(block, columns).take(rows - start)


def example_rows(dataset: EmbeddingDataset, selection: Selection, count: int) -> list[dict[str, Any]]:
    """Returns up to `count` selected rows, spread evenly: number, key, and texts and label if the dataset has them."""
    places = np.unique(np.arange(count) * selection.num_selected // count)
    numbers: list[int] = []
    before = 0
    for rows in selected_rows(selection):
        here = places[(places >= before) & (places < before + len(rows))]
        numbers += rows[here - before].tolist()
        before += len(rows)
    if not numbers:
        return []
    columns = ["key", *(name for name in ("texts", "label") if name in dataset.columns)]
    found = dataset.take(numbers, columns).to_rows()
    return [{"row": number, **row} for number, row in zip(numbers, found, strict=True)]
