"""Batches of several datasets: all rows in one order, batches of each in turn, or by weights.

Promises: `batch(step)` is a function of the seed and the step. A mixture of batches takes each from one dataset, which
has epochs and a seed of its own: each of its batches, in their order, is what it would be if no other dataset were
there. A row's number is that of the datasets joined in their order (`JoinedDataset`).

Source: arXiv:2111.07991, section 5.1 and Table 1: "Mixed" alternates batches of CC12M and YFCC100m.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np

from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.batches import Batch, BatchSource
from lit_precompute.tune.data.joined_dataset import JoinedDataset, join_datasets, join_rows
from lit_precompute.tune.data.joined_texts import JoinedTexts
from lit_precompute.tune.data.options import ALTERNATE, JOINED, DataOptions
from lit_precompute.tune.data.parts import Part, Share, joined_views, num_rows, of_one_type
from lit_precompute.tune.data.row_index import FieldCounts
from lit_precompute.tune.data.texts import nothing_to_tune_on
from lit_precompute.tune.data.turns import Alternating, Drawn, Turns


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
    def fields(self) -> dict[str, FieldCounts]:
        """What the rows have in each field of texts."""
        names = self.sources[0].fields
        return {name: FieldCounts.sum(source.fields[name] for source in self.sources) for name in names}

    def refuse_empty_fields(self) -> None:
        """Raises ValueError if no row has a text in one of the fields."""
        empty = [name for name, counts in self.fields.items() if not counts.num_rows]
        if empty:
            there = ", ".join(
                f"{name} ({counts.num_rows:,})" for name, counts in self.fields.items() if counts.num_rows
            )
            raise ValueError(
                f"text.fields has {', '.join(empty)}, in which none of the rows has a text; rows with a text: {there}; "
                "leave it out"
            )

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
        self._parts = parts = of_one_type(parts)
        datasets = [part.dataset for part in parts]
        dataset = join_datasets(datasets)
        texts = JoinedTexts(dataset, [part.texts for part in parts]) if isinstance(dataset, JoinedDataset) else None
        self._source = BatchSource(
            dataset,
            texts or parts[0].texts,
            batch_size=batch_size,
            seed=seed,
            memory_budget_bytes=memory_budget_bytes,
            rows=join_rows(datasets, [part.rows for part in parts]),
            views=joined_views(parts),
        )
        self.sources: Sequence[BatchSource] = [self._source]
        ends = np.cumsum([0, *(each.num_rows for each in datasets)]).tolist()
        self._num_rows = [self._source.count_rows(*span) for span in itertools.pairwise(ends)]
        for part, count in zip(parts, self._num_rows, strict=True):
            if not count:
                asked = part.dataset.num_rows if part.rows is None else len(part.rows)
                raise ValueError(nothing_to_tune_on(part.dataset, asked, part.texts.names))

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
        pairs = zip(self._parts, self._num_rows, strict=True)
        return [Share(part.dataset.path, num_rows, epochs, len(part.views)) for part, num_rows in pairs]


class Mixture(_OverSources):
    """Batches of one dataset each."""

    def __init__(self, parts: Sequence[Part], turns: Turns, kind: str, *, batch_size: int, seed: int, budget: int):
        """Takes the datasets, and which of them each step's batch is of.

        Raises:
          ValueError: a dataset has fewer rows with a text than a batch has, or its share of the budget is too small.
        """
        self._turns, self._kind = turns, kind
        self._parts = parts
        self._first_rows = np.cumsum([0, *(part.dataset.num_rows for part in parts)])
        self.sources: Sequence[BatchSource] = _in_shares_of_memory(of_one_type(parts), batch_size, seed, budget)

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
            Share(part.dataset.path, source.num_rows, count / source.num_batches_per_epoch, len(part.views))
            for part, source, count in zip(self._parts, self.sources, counts, strict=True)
        ]


def mix(
    parts: Sequence[Part], options: DataOptions, *, batch_size: int, seed: int, memory_budget_bytes: int
) -> Joined | Mixture:
    """Returns the batches of some datasets, mixed as the options say.

    Raises:
      OptionsError: there is not one weight for each dataset.
      ValueError: a dataset has too few rows with a text, none has any in one of the fields, or the budget is too small.
    """
    options.check_fits(len(parts))
    mixed: Joined | Mixture
    if len(parts) == 1 or options.mixture == JOINED:
        mixed = Joined(parts, batch_size=batch_size, seed=seed, memory_budget_bytes=memory_budget_bytes)
    else:
        weights = options.weights()
        turns: Turns = Alternating(len(parts)) if weights is None else Drawn(weights, seed)
        kind = ALTERNATE if weights is None else "weights"
        mixed = Mixture(parts, turns, kind, batch_size=batch_size, seed=seed, budget=memory_budget_bytes)
    mixed.refuse_empty_fields()
    return mixed


def _in_shares_of_memory(parts: Sequence[Part], batch_size: int, seed: int, budget: int) -> list[BatchSource]:
    """Returns the batches of each dataset, the smallest first in line for memory: what it leaves goes to the others."""
    found: dict[int, BatchSource] = {}
    left = budget
    for number in sorted(range(len(parts)), key=lambda number: num_rows(parts[number])):
        part, share = parts[number], left // (len(parts) - len(found))
        try:
            found[number] = BatchSource(
                part.dataset,
                part.texts,
                batch_size=batch_size,
                seed=random_draws.make_key(seed, random_draws.DATASET, number),
                memory_budget_bytes=share,
                rows=part.rows,
                views=part.views,
            )
        except ValueError as error:
            if str(error).startswith(part.dataset.path):
                raise
            raise ValueError(f"{part.dataset.path}: {error}") from error
        left -= found[number].num_bytes
    return [found[number] for number in range(len(parts))]
