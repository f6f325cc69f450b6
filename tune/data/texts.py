"""What text an image brings: its captions, cleared of empty ones, one drawn or all joined, as token ids.

A text of white space alone counts as no text. A row without any text cannot be trained on: it is left out and
counted (`RowIndex.num_rows_without_text` in tune/data/row_index.py).

Promises: the text that a row brings is a function of the seed, the epoch and the row's number in the dataset, so
that it does not depend on batch size, memory or which other rows are used.
"""

import dataclasses
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.data import shuffling


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How an image's texts become one row of tokens.

    Attributes:
      choice: "sample" draws one of the texts, another in each epoch; "join" takes all of them in their order.
      separator: stands between joined texts.
      lower_case: whether texts are lowered, by the tokenizer.
      max_tokens: length of a row of tokens, the end token included.
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


class RowTexts(NamedTuple):
    """The texts of consecutive rows: `counts` [n] of them for each row, in one array of strings."""

    counts: np.ndarray
    strings: pa.Array


def row_texts(texts: pa.ListArray, options: TextOptions) -> RowTexts:
    """Returns the texts to choose from, for a block's column `texts`; a joined row has one, a row without text none."""
    strings = texts.flatten()
    trimmed = pc.call_function("utf8_trim_whitespace", [strings])
    usable = pc.call_function("greater", [pc.call_function("binary_length", [trimmed]), pa.scalar(0)]).fill_null(False)
    owners = pc.call_function("list_parent_indices", [texts]).filter(usable).to_numpy(zero_copy_only=False)
    counts = np.bincount(owners, minlength=len(texts))
    strings = strings.filter(usable)
    if options.choice == "join":
        ends = np.cumsum(counts[counts > 0])
        lists = pa.ListArray.from_arrays(np.concatenate(([0], ends)).astype(np.int32), strings)
        strings = pc.call_function("binary_join", [lists, pa.scalar(options.separator)])
        counts = (counts > 0).astype(counts.dtype)
    return RowTexts(counts, strings)


def iterate_texts(dataset: EmbeddingDataset, rows: np.ndarray | None = None) -> Iterator[str]:
    """Yields every text of the dataset, or of the rows of these numbers (ascending): what a tokenizer is trained on."""
    for block in range(dataset.num_blocks):
        start, stop = dataset.block_span(block)
        texts = read_texts(dataset, block)
        if rows is not None:
            first, last = np.searchsorted(rows, (start, stop))
            texts = texts.take(pa.array(rows[first:last] - start))
        yield from row_texts(texts, TextOptions()).strings.to_pylist()


def read_texts(dataset: EmbeddingDataset, block: int) -> pa.ListArray:
    """Returns the column `texts` of a block.

    Raises:
      ValueError: the dataset was opened without captions, or has none.
    """
    if "captions" not in dataset.tables:
        raise ValueError(f"{dataset.path}: tuning needs the table 'captions', opened are {list(dataset.tables)}")
    return dataset.read_block(block, ["texts"])["texts"]


class TokenTable:
    """Token ids of all texts of some rows, made once, so that a step only gathers."""

    def __init__(self, starts: np.ndarray, tokens: np.ndarray):
        """Takes int64 [n + 1], where each row's texts begin, and ids [num_texts, max_tokens]."""
        assert starts[-1] == len(tokens), (starts[-1], len(tokens))
        self._starts, self._tokens = starts, tokens

    @staticmethod
    def id_type(tokenizer: Tokenizer) -> np.dtype:
        """Returns the smallest type that holds the tokenizer's ids."""
        return np.dtype(np.uint16 if tokenizer.vocabulary_size <= 2**16 else np.int32)

    def gather(self, ranks: np.ndarray, row_numbers: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
        """Returns int32 [len(ranks), max_tokens] for the rows that stand at `ranks` here and at `row_numbers` there."""
        firsts = self._starts[ranks]
        key = shuffling.make_key(seed, shuffling.TEXTS, epoch)
        chosen = firsts + shuffling.choose(key, row_numbers, self._starts[ranks + 1] - firsts)
        return self._tokens[chosen].astype(np.int32)


def encode_chosen(
    texts: RowTexts, row_numbers: np.ndarray, tokenizer: Tokenizer, options: TextOptions, *, seed: int, epoch: int
) -> np.ndarray:
    """Returns what `TokenTable.gather` would for these rows, by encoding the chosen texts alone."""
    key = shuffling.make_key(seed, shuffling.TEXTS, epoch)
    firsts = np.cumsum(texts.counts) - texts.counts
    chosen = firsts + shuffling.choose(key, row_numbers, texts.counts)
    return tokenizer.encode(texts.strings.take(pa.array(chosen)).to_pylist(), options.max_tokens)
