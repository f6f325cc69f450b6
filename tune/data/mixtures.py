"""Batches of several datasets: all rows in one order, batches of each in turn, or by weights.

Promises: `batch(step)` is a function of the seed and the step. A mixture of batches takes each from one dataset, which
has epochs and a seed of its own: each of its batches, in their order, is what it would be if no other dataset were
there. A row's number is that of the datasets joined in their order (`JoinedDataset`).

Source: arXiv:2111.07991, section 5.1 and Table 1: "Mixed" alternates batches of CC12M and YFCC100m.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas.vectors import VectorType
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.batches import Batch, BatchSource
from lit_precompute.tune.data.joined_dataset import Blocks, JoinedDataset, common_type, join_datasets, join_rows
from lit_precompute.tune.data.joined_texts import JoinedTexts
from lit_precompute.tune.data.options import ALTERNATE, JOINED, DataOptions
from lit_precompute.tune.data.text_source import TextSource
from lit_precompute.tune.data.texts import nothing_to_tune_on

_DRAWN_AT_ONCE = 1 << 16


class Part(NamedTuple):
    """One dataset of a mixture: its texts, and the ascending numbers of the rows to use (None: all)."""

    dataset: Blocks
    texts: TextSource
    rows: Int64[np.ndarray, "_"] | None


class Share(NamedTuple):
    """What a training sees of one dataset: its path, its usable rows, and how many passes over them."""

    path: str
    num_rows: int
    num_epochs: float


class Turns(Protocol):
    """Which dataset each step's batch is of."""

    def place(self, step: int) -> tuple[int, int]:
        """Returns the dataset of a step, and how many steps before it had the same."""
        ...

    def counts(self, num_steps: int) -> Int64[np.ndarray, " datasets"]:
        """Returns how many of the first steps are of each dataset."""
        ...

    def num_steps(self, num_batches: Sequence[int]) -> int:
        """Returns after how many steps (by weights: on average) so many batches of each dataset are seen."""
        ...


class Alternating:
    """See `Turns`: the datasets in turn."""

    def __init__(self, num_datasets: int):
        self._num_datasets = num_datasets

    def place(self, step: int) -> tuple[int, int]:
        """See `Turns`."""
        before, number = divmod(step, self._num_datasets)
        return number, before

    def counts(self, num_steps: int) -> Int64[np.ndarray, " datasets"]:
        """See `Turns`."""
        return (num_steps + self._num_datasets - 1 - np.arange(self._num_datasets)) // self._num_datasets

    def num_steps(self, num_batches: Sequence[int]) -> int:
        """See `Turns`."""
        return self._num_datasets * max(num_batches)


class Drawn:
    """See `Turns`: each step's dataset is drawn by weights, as a function of the seed and the step."""

    def __init__(self, weights: Sequence[float], seed: int):
        self._shares = np.asarray(weights) / sum(weights)
        self._ends = np.cumsum(self._shares)[:-1]
        self._key = random_draws.make_key(seed, random_draws.MIXTURE)
        self._numbers = functools.lru_cache(maxsize=2)(self._draw)
        # How many of the steps before each run of _DRAWN_AT_ONCE are of each dataset.
        self._before = [np.zeros(len(weights), np.int64)]
        self._lock = threading.Lock()

    def _draw(self, run: int) -> Int64[np.ndarray, " n"]:
        """Returns the datasets of a run of steps."""
        draws = random_draws.draw(self._key, np.arange(run * _DRAWN_AT_ONCE, (run + 1) * _DRAWN_AT_ONCE))
        uniform = (draws >> np.uint64(11)) * 2.0**-53  # as many bits as a float64 holds
        return np.searchsorted(self._ends, uniform, side="right").astype(np.int64)

    def _counted(self, numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " datasets"]:
        return np.bincount(numbers, minlength=len(self._shares))

    def place(self, step: int) -> tuple[int, int]:
        """See `Turns`."""
        number = int(self._numbers(step // _DRAWN_AT_ONCE)[step % _DRAWN_AT_ONCE])
        return number, int(self.counts(step)[number])

    def counts(self, num_steps: int) -> Int64[np.ndarray, " datasets"]:
        """See `Turns`."""
        run, within = divmod(num_steps, _DRAWN_AT_ONCE)
        with self._lock:
            for earlier in range(len(self._before) - 1, run):
                self._before.append(self._before[-1] + self._counted(self._numbers(earlier)))
            return self._before[run] + self._counted(self._numbers(run)[:within])

    def num_steps(self, num_batches: Sequence[int]) -> int:
        """See `Turns`."""
        return math.ceil(max(np.asarray(num_batches) / self._shares))


class _OverSources:
    """What is said of all sources of batches together."""

    sources: Sequence[BatchSource]

    @property
    def num_rows(self) -> int:
        """Rows that are trained on."""
        return sum(source.num_rows for source in self.sources)

    @property
    def num_rows_without_text(self) -> int:
        """Rows that were left out."""
        return sum(source.num_rows_without_text for source in self.sources)

    @property
    def num_blank_texts(self) -> int:
        """Texts that were left out."""
        return sum(source.num_blank_texts for source in self.sources)

    @property
    def num_rows_read(self) -> int:
        """Rows of all blocks that an epoch of each source reads."""
        return sum(source.num_rows_read for source in self.sources)

    def close(self) -> None:
        """Ends the threads that read ahead."""
        for source in self.sources:
            source.close()


class Joined(_OverSources):
    """All rows of all datasets in one order; of one dataset, that dataset's own."""

    def __init__(self, parts: Sequence[Part], *, batch_size: int, seed: int, memory_budget_bytes: int):
        """See `BatchSource`.

        Raises:
          ValueError: as there, or a dataset has no row with a text.
        """
        self._datasets = [part.dataset for part in parts]
        dataset = join_datasets(self._datasets)
        texts = JoinedTexts(dataset, [part.texts for part in parts]) if isinstance(dataset, JoinedDataset) else None
        self._source = BatchSource(
            dataset,
            texts or parts[0].texts,
            batch_size=batch_size,
            seed=seed,
            memory_budget_bytes=memory_budget_bytes,
            rows=join_rows(self._datasets, [part.rows for part in parts]),
        )
        self.sources: Sequence[BatchSource] = [self._source]
        ends = np.cumsum([0, *(each.num_rows for each in self._datasets)]).tolist()
        self._num_rows = [self._source.count_rows(*span) for span in itertools.pairwise(ends)]
        for part, count in zip(parts, self._num_rows, strict=True):
            if not count:
                asked = part.dataset.num_rows if part.rows is None else len(part.rows)
                raise ValueError(nothing_to_tune_on(part.dataset, asked))

    @property
    def in_memory(self) -> bool:
        """Whether all embeddings and texts are in memory."""
        return self._source.in_memory

    def reordered(self, *, batch_size: int, seed: int) -> Joined:
        """See `BatchSource.reordered`."""
        other = copy.copy(self)
        other._source = self._source.reordered(batch_size=batch_size, seed=seed)
        other.sources = [other._source]
        return other

    @property
    def num_batches_per_epoch(self) -> int:
        """Batches of one pass over all rows."""
        return self._source.num_batches_per_epoch

    def batch(self, step: int) -> Batch:
        """Returns the batch of a step."""
        return self._source.batch(step)

    def order(self) -> dict[str, int | str]:
        """Returns what the order of rows depends on besides the seed."""
        return self._source.order()

    def shares(self, num_steps: int) -> list[Share]:
        """Returns what so many steps see of each dataset."""
        epochs = num_steps / self.num_batches_per_epoch
        pairs = zip(self._datasets, self._num_rows, strict=True)
        return [Share(dataset.path, num_rows, epochs) for dataset, num_rows in pairs]


class Mixture(_OverSources):
    """Batches of one dataset each."""

    def __init__(self, parts: Sequence[Part], turns: Turns, kind: str, *, batch_size: int, seed: int, budget: int):
        """Takes the datasets, and which of them each step's batch is of.

        Raises:
          ValueError: a dataset has fewer rows with a text than a batch has, or its share of the budget is too small.
        """
        self._turns, self._kind = turns, kind
        self._paths = [part.dataset.path for part in parts]
        self._first_rows = np.cumsum([0, *(part.dataset.num_rows for part in parts)])
        self.sources: Sequence[BatchSource] = _in_shares_of_memory(_of_one_type(parts), batch_size, seed, budget)

    @property
    def num_batches_per_epoch(self) -> int:
        """Batches after which each dataset is seen once or more (by weights: on average)."""
        return self._turns.num_steps([source.num_batches_per_epoch for source in self.sources])

    def batch(self, step: int) -> Batch:
        """Returns the batch of a step.

        Raises:
          IndexError: the step is negative.
        """
        if step < 0:
            raise IndexError(f"step must be >= 0, got {step}")
        number, own_step = self._turns.place(step)
        batch = self.sources[number].batch(own_step)
        return batch._replace(row_numbers=batch.row_numbers + self._first_rows[number])

    def order(self) -> dict[str, int | str]:
        """Returns what the order of rows depends on besides the seed."""
        orders = [source.order() for source in self.sources]
        return {"kind": self._kind} | {
            f"{number}.{name}": value for number, order in enumerate(orders) for name, value in order.items()
        }

    def shares(self, num_steps: int) -> list[Share]:
        """Returns what so many steps see of each dataset."""
        counts = self._turns.counts(num_steps).tolist()
        return [
            Share(path, source.num_rows, count / source.num_batches_per_epoch)
            for path, source, count in zip(self._paths, self.sources, counts, strict=True)
        ]


def mix(
    parts: Sequence[Part], options: DataOptions, *, batch_size: int, seed: int, memory_budget_bytes: int
) -> Joined | Mixture:
    """Returns the batches of some datasets, mixed as the options say.

    Raises:
      OptionsError: there is not one weight for each dataset.
      ValueError: a dataset has too few rows with a text, or the budget is too small.
    """
    options.check_fits(len(parts))
    if len(parts) == 1 or options.mixture == JOINED:
        return Joined(parts, batch_size=batch_size, seed=seed, memory_budget_bytes=memory_budget_bytes)
    weights = options.weights()
    turns: Turns = Alternating(len(parts)) if weights is None else Drawn(weights, seed)
    kind = ALTERNATE if weights is None else "weights"
    return Mixture(parts, turns, kind, batch_size=batch_size, seed=seed, budget=memory_budget_bytes)


def _of_one_type(parts: Sequence[Part]) -> list[Part]:
    """Returns the parts with embeddings of one type, for which the step is compiled."""
    wanted: VectorType = common_type([part.dataset for part in parts])
    return [
        part
        if part.dataset.vector_type == wanted
        else part._replace(dataset=JoinedDataset([part.dataset], vector_type=wanted))
        for part in parts
    ]


def _in_shares_of_memory(parts: Sequence[Part], batch_size: int, seed: int, budget: int) -> list[BatchSource]:
    """Returns the batches of each dataset, the smallest first in line for memory: what it leaves goes to the others."""
    found: dict[int, BatchSource] = {}
    left = budget
    for number in sorted(range(len(parts)), key=lambda number: _num_rows(parts[number])):
        part, share = parts[number], left // (len(parts) - len(found))
        try:
            found[number] = BatchSource(
                part.dataset,
                part.texts,
                batch_size=batch_size,
                seed=random_draws.make_key(seed, random_draws.DATASET, number),
                memory_budget_bytes=share,
                rows=part.rows,
            )
        except ValueError as error:
            if str(error).startswith(part.dataset.path):
                raise
            raise ValueError(f"{part.dataset.path}: {error}") from error
        left -= found[number].num_bytes
    return [found[number] for number in range(len(parts))]


def _num_rows(part: Part) -> int:
    return part.dataset.num_rows if part.rows is None else len(part.rows)
