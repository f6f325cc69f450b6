"""The texts of each image: its captions without the blank ones, or all of them joined.

Training and evaluation leave blank texts out and count them; both use `row_texts`. A row without any text cannot be
trained on: it is left out and counted (`RowIndex.num_rows_without_text`).
"""

import dataclasses
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from lit_precompute.schemas.texts import are_texts, join_texts
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks

_MAX_TOKENS = 1_000_000  # far above any text tower


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How an image's texts become one row of tokens.

    Attributes:
      choice: "sample" draws one of the texts in each epoch; "join" joins all of them in order.
      separator: what joined texts are separated by.
      lower_case: whether the tokenizer lower-cases texts.
      max_tokens: length of a row of tokens, including the end token.
    """

    choice: Literal["sample", "join"] = "sample"
    separator: str = " "
    lower_case: bool = True
    max_tokens: int = 16

    def __post_init__(self):
        if self.choice not in ("sample", "join"):
            raise ValueError(f"text.choice must be 'sample' or 'join', got {self.choice!r}")
        if self.max_tokens < 2:
            raise ValueError(f"text.max_tokens must be >= 2 (one piece and the end token), got {self.max_tokens}")
        if self.max_tokens > _MAX_TOKENS:
            raise ValueError(f"text.max_tokens must be <= {_MAX_TOKENS}, got {self.max_tokens}")


class RowTexts(NamedTuple):
    """The texts of consecutive rows, in one array of strings.

    Attributes:
      counts: how many texts each row has.
      strings: all rows' texts.
      blank_counts: how many blank texts of each row were left out.
    """

    counts: Int64[np.ndarray, " n"]
    strings: pa.Array
    blank_counts: Int64[np.ndarray, " n"]


def row_texts(texts: pa.ListArray, options: TextOptions) -> RowTexts:
    """Returns the texts to choose from, for a block's column `texts`: when joined, one for each row that has any."""
    strings = texts.flatten()
    is_text = are_texts(strings)
    owners = pc.call_function("list_parent_indices", [texts]).to_numpy(zero_copy_only=False)
    counts = np.bincount(owners[is_text.to_numpy(zero_copy_only=False)], minlength=len(texts))
    blank_counts = np.bincount(owners, minlength=len(texts)) - counts
    strings = strings.filter(is_text)
    if options.choice == "join":
        strings = join_texts(strings, counts, options.separator)
        counts = (counts > 0).astype(counts.dtype)
    return RowTexts(counts, strings, blank_counts)


def iterate_texts(dataset: Blocks, rows: Int64[np.ndarray, " n"] | None = None) -> Iterator[str]:
    """Yields all texts of the dataset, or of the rows with these ascending numbers, to train a tokenizer on."""
    blocks = blocks_of_rows(dataset, rows).tolist()
    dataset.fetch_ahead(blocks, ["texts"])
    for block in blocks:
        texts = read_texts(dataset, block)
        if rows is not None:
            start, stop = dataset.block_span(block)
            first, last = np.searchsorted(rows, (start, stop))
            texts = texts.take(pa.array(rows[first:last] - start))
        yield from row_texts(texts, TextOptions()).strings.to_pylist()


def nothing_to_tune_on(dataset: Blocks, num_rows: int) -> str:
    """Returns what to do with a dataset of which so many rows, all that were asked for, have no text."""
    return (
        f"{dataset.path}: none of the {num_rows:,} rows has a text, so there is nothing to tune on; embed images that "
        "have texts (a column of a table, a .txt beside each image: docs/sources.md). Images with labels alone serve "
        "to evaluate a tuned model: lit-eval zero-shot"
    )


def read_texts(dataset: Blocks, block: int) -> pa.ListArray:
    """Returns the column `texts` of a block.

    Raises:
      ValueError: the dataset was opened without captions, or has none.
    """
    if "captions" not in dataset.tables:
        raise ValueError(f"{dataset.path}: tuning needs the table 'captions'; open tables: {list(dataset.tables)}")
    return dataset.read_block(block, ["texts"])["texts"]
