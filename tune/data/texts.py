"""The texts that each image has in a field: without the blank ones, or all of them joined.

Training and evaluation leave blank texts out and count them; both use `row_texts`. A row without any text cannot be
trained on: it is left out and counted (`RowIndex.num_rows_without_text`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.texts import are_texts, join_texts
from lit_precompute.tune.data.camera_names import are_camera_names
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_options import TextOptions

CAPTIONS, TEXTS = "captions", "texts"
_TEXT_COLUMN = "list<string>"


class RowTexts(NamedTuple):
    """The texts of consecutive rows, in one array of strings.

    Attributes:
      counts: how many texts each row has.
      strings: all rows' texts.
      blank_counts: how many blank texts of each row were left out.
      filtered_counts: how many names that cameras give were left out.
    """

    counts: Int64[np.ndarray, " n"]
    strings: pa.Array
    blank_counts: Int64[np.ndarray, " n"]
    filtered_counts: Int64[np.ndarray, " n"]


def row_texts(texts: pa.ListArray, options: TextOptions, field: str = TEXTS) -> RowTexts:
    """Returns the texts to choose from, for a block's column of a field.

    Joined texts are one for each row that has any; those of a shuffled field are not joined yet.
    """
    strings = texts.flatten()
    is_text = are_texts(strings)
    owners = pc.call_function("list_parent_indices", [texts]).to_numpy(zero_copy_only=False)
    counts = np.bincount(owners[is_text.to_numpy(zero_copy_only=False)], minlength=len(texts))
    blank_counts = np.bincount(owners, minlength=len(texts)) - counts
    filtered_counts = np.zeros_like(counts)
    if field in options.filtered_fields:
        is_name = are_camera_names(strings)
        is_text = pc.call_function("and_not", [is_text, is_name])
        left = np.bincount(owners[is_text.to_numpy(zero_copy_only=False)], minlength=len(texts))
        counts, filtered_counts = left, counts - left
    strings = strings.filter(is_text)
    if options.choice == "join" and field not in options.shuffled_fields:
        strings = join_texts(strings, counts, options.separator)
        counts = (counts > 0).astype(counts.dtype)
    return RowTexts(counts, strings, blank_counts, filtered_counts)


def at_places(column: pa.ListArray, places: Int64[np.ndarray, " n"]) -> pa.ListArray:
    """Returns a block's column of the rows at these ascending places; of all rows without a copy."""
    return column if len(places) == len(column) else column.take(pa.array(places))


def iterate_texts(
    dataset: Blocks, rows: Int64[np.ndarray, " n"] | None = None, options: TextOptions | None = None
) -> Iterator[str]:
    """Yields all texts of the dataset, or of the rows with these ascending numbers, to train a tokenizer on.

    Those of all fields of the options, each alone; by default of the column `texts`.
    """
    options = TextOptions() if options is None else options
    alone = TextOptions(fields=options.fields, filtered=options.filtered)
    blocks = blocks_of_rows(dataset, rows).tolist()
    dataset.fetch_ahead(blocks, options.field_names)
    for block in blocks:
        for field, texts in read_fields(dataset, block, options.field_names, rows).items():
            yield from row_texts(texts, alone, field).strings.to_pylist()


def nothing_to_tune_on(dataset: Blocks, num_rows: int, fields: Sequence[str] = (TEXTS,)) -> str:
    """Returns what to do with a dataset of which so many rows, all that were asked for, have no text in some fields."""
    where = "" if (*fields,) == (TEXTS,) else f" in {', '.join(fields)}"
    return (
        f"{dataset.path}: none of the {num_rows:,} rows has a text{where}, so there is nothing to tune on; embed "
        "images that have texts (a column of a table, a .txt beside each image: docs/sources.md). Images with labels "
        "alone serve to evaluate a tuned model: lit-eval zero-shot"
    )


def read_fields(
    dataset: Blocks, block: int, fields: Sequence[str], rows: Int64[np.ndarray, " n"] | None = None
) -> dict[str, pa.ListArray]:
    """Returns a block's columns of texts, of the rows with these ascending numbers (None: all).

    Of joined datasets, the columns that the block's dataset has.

    Raises:
      ValueError: the dataset was opened without captions, or has none.
    """
    _require_captions(dataset)
    read = dataset.read_block(block, fields)
    if rows is None:
        return {field: read[field] for field in fields if field in read.columns}
    start, stop = dataset.block_span(block)
    first, last = np.searchsorted(rows, (start, stop))
    places = pa.array(rows[first:last] - start)
    return {field: read[field].take(places) for field in fields if field in read.columns}


def _require_captions(dataset: Blocks) -> None:
    if CAPTIONS not in dataset.tables:
        raise ValueError(f"{dataset.path}: tuning needs the table 'captions'; open tables: {list(dataset.tables)}")


def fields_of(dataset: EmbeddingDataset) -> list[str]:
    """Returns the columns of the captions that have texts, `texts` first.

    Raises:
      ValueError: the dataset was opened without captions, or has none.
    """
    _require_captions(dataset)
    columns = [column for column in dataset.manifest.table(CAPTIONS).columns if column.type == _TEXT_COLUMN]
    return [column.name for column in columns]


def check_fields(datasets: Sequence[EmbeddingDataset], fields: Sequence[str]) -> None:
    """Refuses a field that none of the datasets has, and a dataset that has none of the fields.

    Raises:
      ValueError: a dataset was opened without captions.
      DatasetError: there is no such column of texts; the message has those that there are.
    """
    advice = "named texts are kept by --named-text, when embedding or deriving (docs/derive.md)"
    columns = {dataset.path: fields_of(dataset) for dataset in datasets}
    missing = [field for field in fields if not any(field in there for there in columns.values())]
    for path, there in columns.items():
        unknown = missing or ([] if {*fields} & {*there} else fields)
        if unknown:
            raise DatasetError(
                f"{path}: has no texts called {', '.join(unknown)}, which text.fields asks for; it has "
                f"{', '.join(there)}; {advice}"
            )
