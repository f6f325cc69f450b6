"""Token tables: first epochs with one and without, 200,000 rows of 768 float16 with a text each, in memory.

    python -m benchmarks.tokens

- A first epoch is timed from opening the dataset to its last batch, in turn: with texts that cost nothing (what remains
  is the loader: embeddings are read, ordered and gathered), with a token table, and with texts that are tokenised. The
  rate of later epochs, whose tokens are all in memory, stands beside.
- Tokenised rows per second: of the table, read and cut to 16 tokens; of `Tokenizer.encode`; and of the plain library,
  Hugging Face's fast tokenizer that cuts and pads by itself, its ids put into an array.

Best of several passes each. Tokenizers: SentencePiece's unigram and WordPiece, 8,000 pieces.
"""

import logging
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
import tokenizers

from benchmarks.loader import BATCH_SIZE, NUM_ROWS
from benchmarks.selecting import write
from lit_precompute.pipelines.tokens import tokenise
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import EmbeddingDataset, RowBlock
from lit_precompute.towers.tokenizers import (
    HuggingFaceOptions,
    SentencePieceOptions,
    load_tokenizer,
    train_tokenizer,
)
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.batches_ahead import iterate
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.finding_texts import find_texts
from lit_precompute.tune.data.stored_tokens import StoredTokens
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_source import ReadTexts, TextSource, TextTotals
from lit_precompute.tune.data.texts import iterate_texts
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts, TokenRows

_NUM_PASSES, _PIECES, _TRAINED_ON = 4, 8_000, 50_000
_TEXT = TextOptions()
_GOAL_LOADER, _GOAL_TABLE = 0.8, 1e6


class FreeTexts(TokenRows):
    """One text for each row, which costs nothing."""

    columns: Sequence[str] = ("key",)

    def read(self, block: RowBlock, places: np.ndarray) -> ReadTexts:
        """See `TextSource`."""
        del block
        num_rows = len(places)
        return ReadTexts(
            np.ones(num_rows, np.int64),
            lambda chosen: self.empty_chosen(num_rows if chosen is None else len(chosen)),
            TextTotals(kept_bytes=num_rows * self.bytes_per_kept),
        )


def one_field(source: TextSource) -> ChosenTexts:
    """Returns a source's texts as those of the only field."""
    return ChosenTexts({"texts": source}, _TEXT)


def first_and_later(dataset: EmbeddingDataset, make: Callable[[], ChosenTexts]) -> tuple[float, float]:
    """Returns the seconds of a first epoch, from opening on, and of the next."""
    begin = time.perf_counter()
    source = BatchSource(dataset, make(), batch_size=BATCH_SIZE, seed=0, memory_budget_bytes=1 << 32)
    ends = [begin]
    for epoch in range(2):
        for _ in iterate(source, epoch * source.num_batches_per_epoch, source.num_batches_per_epoch):
            pass
        ends.append(time.perf_counter())
    source.close()
    return ends[1] - ends[0], ends[2] - ends[1]


def best(*calls: Callable[[], object]) -> list[float]:
    """Returns the least seconds of each of some calls, made in turn."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(_NUM_PASSES):
        for call, of_call in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            of_call.append(time.perf_counter() - start)
    return list(map(min, seconds))


def train_word_pieces(texts: Sequence[str], path: pathlib.Path) -> None:
    """Writes a tokenizer.json like BERT's."""
    tokenizer = tokenizers.BertWordPieceTokenizer()
    tokenizer.train_from_iterator(iter(texts), vocab_size=_PIECES, show_progress=False)
    tokenizer.save(str(path))


def epochs(name: str, base: pathlib.Path, folder: pathlib.Path) -> float:
    """Prints rates of epochs; returns the first epoch's with a table over that with free texts."""
    derived, place = str(folder / f"{name}-tokens"), str(folder / name)
    tokenise(DeriveOptions(base=str(base), output=derived, tokens=place))
    tokenizer = load_tokenizer(place)
    with EmbeddingDataset.open(derived, tables=["embeddings", "captions"]) as dataset:
        found = find_texts(dataset, tokenizer, _TEXT)
        assert isinstance(found.source.sources[0], StoredTokens), found.notes
        ways: dict[str, tuple[EmbeddingDataset, Callable[[], ChosenTexts]]] = {
            "free texts": (dataset, lambda: one_field(FreeTexts(tokenizer, _TEXT.max_tokens))),
            "token table": (found.dataset, lambda: found.source),
            "tokenised": (dataset, lambda: one_field(TokenisedTexts(tokenizer, _TEXT))),
        }
        seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(_NUM_PASSES):
            for way, (opened, make) in ways.items():
                seconds[way].append(first_and_later(opened, make))
        found.dataset.close()
    firsts: dict[str, float] = {}
    for way, of_way in seconds.items():
        first, later = (min(each) for each in zip(*of_way, strict=True))
        firsts[way] = first
        print(f"  {name:<14}{way:<12} first epoch {NUM_ROWS / first:>10,.0f} rows/s, later {NUM_ROWS / later:>10,.0f}")
    print(f"  {name:<14}first epoch: table over tokenised {firsts['tokenised'] / firsts['token table']:.2f}")
    return firsts["free texts"] / firsts["token table"]


def tokenised_rates(folder: pathlib.Path, texts: Sequence[str]) -> float:
    """Prints tokenised rows per second; returns the table's."""
    plain = tokenizers.Tokenizer.from_file(str(folder / "bert.json"))
    plain.enable_truncation(_TEXT.max_tokens)
    plain.enable_padding(length=_TEXT.max_tokens)
    ours = load_tokenizer(str(folder / "wordpiece"))
    with EmbeddingDataset.open(folder / "wordpiece-tokens") as dataset:
        stored = StoredTokens(ours, _TEXT.max_tokens)
        spans = [dataset.block_span(block) for block in range(dataset.num_blocks)]

        def read() -> None:
            for block, (start, stop) in enumerate(spans):
                stored.read(dataset.read_block(block, stored.columns), np.arange(stop - start)).all()

        table, own, library = best(
            read,
            lambda: ours.encode(texts, _TEXT.max_tokens),
            lambda: np.array([encoding.ids for encoding in plain.encode_batch(list(texts))], np.int32),
        )
    print(f"  rows tokenised: table {NUM_ROWS / table:,.0f} /s, ours {NUM_ROWS / own:,.0f} /s, ", end="")
    print(f"plain fast tokenizer {NUM_ROWS / library:,.0f} /s: {library / table:.1f} and {library / own:.2f} of it")
    return NUM_ROWS / table


def main() -> int:
    """Prints all rates; returns 1 if a goal is missed."""
    logging.disable(logging.WARNING)  # a small vocabulary is meant
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with write(folder / "dataset") as dataset:
            texts = list(iterate_texts(dataset))
        train_tokenizer(SentencePieceOptions(vocabulary_size=_PIECES), iter(texts[:_TRAINED_ON])).save(
            str(folder / "sentencepiece")
        )
        train_word_pieces(texts[:_TRAINED_ON], folder / "bert.json")
        train_tokenizer(HuggingFaceOptions(path=str(folder / "bert.json")), ()).save(str(folder / "wordpiece"))
        print(f"tokens: {NUM_ROWS:,} rows with a text each, batches of {BATCH_SIZE:,}")
        shares = [epochs(kind, folder / "dataset", folder) for kind in ("sentencepiece", "wordpiece")]
        table = tokenised_rates(folder, texts)
    print(f"  first epoch with a table over the loader alone: {min(shares):.2f} (goal >= {_GOAL_LOADER:g})")
    print(f"  rows of tokens from a table: {table:,.0f} /s (goal >= {_GOAL_TABLE:,.0f})")
    return 0 if min(shares) >= _GOAL_LOADER and table >= _GOAL_TABLE else 1


if __name__ == "__main__":
    sys.exit(main())
