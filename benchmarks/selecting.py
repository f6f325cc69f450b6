"""Selecting rows, and loading selected ones: 200,000 rows of 768 float16 with a text and a label each.

    python -m benchmarks.selecting

- Selecting: rows per second of `lit-data select`'s search by each kind of criterion, over files in the page cache.
- Loading: epochs of shuffled batches of a selection of all rows, in turn with epochs without one, which must not
  be faster; and of 2 % of the rows, at random and in whole blocks, of which it also prints how many bytes are read for
  each byte of selected rows: to open, and in an epoch.
"""

import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from benchmarks.loader import BATCH_SIZE, NUM_ROWS, WIDTH, make_texts
from lit_precompute.schemas import (
    DatasetWriter,
    EmbeddingDataset,
    RowBlock,
    SourceInfo,
    TowerCard,
    captions_table,
    labels_table,
)
from lit_precompute.schemas.sharing.selecting.criteria import Criterion, Labels, RowRange
from lit_precompute.schemas.sharing.selecting.finding import Sample, find_rows
from lit_precompute.schemas.sharing.selecting.keys import Keys
from lit_precompute.schemas.sharing.selecting.texts import TextLength, TextPattern
from lit_precompute.towers.tokenizers import Tokenizer, WordOptions, train_tokenizer
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.batches_ahead import iterate
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import iterate_texts
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts

_NUM_PASSES = 6
_GOAL_ALL = 0.95
_BLOCK_ROWS = 1_024


def write(folder: pathlib.Path) -> EmbeddingDataset:
    """Writes the dataset; keys look like DataComp's uids."""
    texts = make_texts()
    vectors = np.random.default_rng(0).standard_normal((NUM_ROWS, WIDTH), np.float32).astype(np.float16)
    card = TowerCard(
        name="random numbers",
        architecture={},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=WIDTH,
        pooling="none",
        num_parameters=0,
        fingerprint="0" * 64,
    )
    source = SourceInfo(kind="table", path="none", files=[])
    tables = [captions_table(), labels_table()]
    with DatasetWriter(folder, tower=card, source=source, tables=tables, vector_type="float16") as writer:
        for start in range(0, NUM_ROWS, 10_000):
            rows = range(start, start + 10_000)
            writer.write(
                keys=[make_key(row) for row in rows],
                embeddings=vectors[start : start + 10_000],
                columns={
                    "captions": {"texts": [[texts[row]] for row in rows]},
                    "labels": {"label": [str(row % 1_000) for row in rows]},
                },
            )
    return EmbeddingDataset.open(folder)


def make_key(row: int) -> str:
    """Returns a row's key."""
    return f"{row * 0x9E3779B97F4A7C15 % 2**64:016x}{row:016x}"


def selecting_rate(dataset: EmbeddingDataset, make: Callable[[], Criterion], sample: Sample | None = None) -> float:
    """Returns rows per second of the best of several searches; what a criterion holds is made before."""
    seconds = []
    for _ in range(_NUM_PASSES):
        criterion = make()
        start = time.perf_counter()
        find_rows(dataset, [criterion], sample=sample)
        seconds.append(time.perf_counter() - start)
    return NUM_ROWS / min(seconds)


class Loading:
    """Epochs of batches of some rows (None: all), and what they read."""

    def __init__(self, dataset: EmbeddingDataset, tokenizer: Tokenizer, rows: np.ndarray | None, budget: int):
        """Opens the batches; counts blocks of embeddings from here on."""
        self.num_rows = NUM_ROWS if rows is None else len(rows)
        self._source = BatchSource(
            dataset,
            ChosenTexts({"texts": TokenisedTexts(tokenizer, TextOptions())}, TextOptions()),
            batch_size=min(BATCH_SIZE, self.num_rows),
            seed=0,
            memory_budget_bytes=budget,
            rows=rows,
        )
        self._seconds: list[float] = []

    def run_epoch(self) -> None:
        """Loads the next epoch."""
        num_batches, epoch = self._source.num_batches_per_epoch, len(self._seconds)
        start = time.perf_counter()
        for _ in iterate(self._source, epoch * num_batches, num_batches):
            pass
        self._seconds.append(time.perf_counter() - start)

    @property
    def rate(self) -> float:
        """Rows per second of the best epoch."""
        return self.num_rows / min(self._seconds)

    def close(self) -> str:
        """Ends the threads; returns where the rows were."""
        self._source.close()
        return "in memory" if self._source.in_memory else "in windows"


def compare(dataset: EmbeddingDataset, tokenizer: Tokenizer, budget: int) -> float:
    """Prints the rates without a selection and with one of all rows, in turn; returns their ratio."""
    both = [Loading(dataset, tokenizer, rows, budget) for rows in (None, np.arange(NUM_ROWS))]
    for _ in range(_NUM_PASSES):
        for each in both:
            each.run_epoch()
    without, every = both
    where, _ = (each.close() for each in both)
    print(f"  {where}: {without.rate:,.0f} rows/s without a selection, {every.rate:,.0f} with one of all rows")
    return every.rate / without.rate


def show_sparse(dataset: EmbeddingDataset, tokenizer: Tokenizer, words: str, rows: np.ndarray, budget: int) -> None:
    """Prints how fast few rows are loaded, and how many bytes are read for each byte of theirs."""
    num_read, read_block = [0], dataset.read_block

    def note(block: int, columns: list[str]) -> RowBlock:
        start, stop = dataset.block_span(block)
        num_read[0] += (stop - start) * ("embedding" in columns)
        return read_block(block, columns)

    dataset.read_block = note  # pyright: ignore[reportAttributeAccessIssue]
    loading = Loading(dataset, tokenizer, rows, budget)
    first = num_read[0] / len(rows)
    for _ in range(_NUM_PASSES):
        loading.run_epoch()
    dataset.read_block = read_block  # pyright: ignore[reportAttributeAccessIssue]
    later = (num_read[0] / len(rows) - first) / _NUM_PASSES
    where = loading.close()
    print(f"  {words}, {where}: {loading.rate:,.0f} rows/s, reads {first:.1f} x at first, {later:.1f} x an epoch")


def main() -> int:
    """Prints the rates; returns 1 if a selection of all rows is loaded more slowly than no selection."""
    with tempfile.TemporaryDirectory() as name:
        dataset = write(pathlib.Path(name) / "dataset")
        asked = pa.array([make_key(row) for row in range(0, 2 * NUM_ROWS, 2)])
        print(f"selecting from {NUM_ROWS:,} rows")
        for words, make, sample in (
            (f"{len(asked):,} keys", lambda: Keys("keys.npy", [asked], "100%"), None),
            ("a label", lambda: Labels(["7"]), None),
            ("a pattern", lambda: TextPattern("(?i)ba.*du", "texts"), None),
            ("a number of words", lambda: TextLength("words", 5, 9, "texts"), None),
            ("half of them at random", lambda: RowRange(0, NUM_ROWS), Sample(count=NUM_ROWS // 2, seed=0)),
        ):
            print(f"  by {words:<32}{selecting_rate(dataset, make, sample):>12,.0f} rows/s")
        tokenizer = train_tokenizer(WordOptions(vocabulary_size=8_000), iterate_texts(dataset))
        raw = NUM_ROWS * WIDTH * 2
        print("loading a selection of all rows")
        ratios = [compare(dataset, tokenizer, budget) for budget in (2**32, raw // 3)]
        print("loading a selection of 2 % of the rows")
        count, starts = NUM_ROWS // 50, np.array([20, 60, 110, 150]) * _BLOCK_ROWS
        at_random = np.sort(np.random.default_rng(0).choice(NUM_ROWS, count, replace=False))
        in_blocks = (starts[:, None] + np.arange(_BLOCK_ROWS)).ravel()
        for budget in (2**32, raw // 80):
            show_sparse(dataset, tokenizer, "at random", at_random, budget)
            show_sparse(dataset, tokenizer, "in whole blocks", in_blocks, budget)
        dataset.close()
    print(f"  all rows selected over no selection: {ratios[0]:.2f}, {ratios[1]:.2f} (goal >= {_GOAL_ALL:g})")
    return int(min(ratios) < _GOAL_ALL)


if __name__ == "__main__":
    sys.exit(main())
