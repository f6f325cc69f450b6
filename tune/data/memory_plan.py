"""What of a dataset is in memory: everything, or windows of its embeddings, with or without all texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lit_precompute.tune.data.row_reader import RowReader

# All texts are kept in memory beside windows of vectors if they take at most this share of the budget.
_TEXT_SHARE = 0.25


class MemoryBudget(NamedTuple):
    """How much memory rows may take, and what a row takes.

    Attributes:
      num_bytes: all that may be used.
      vector_bytes: of a row's vectors, those of all views.
      num_fields: fields of texts.
    """

    num_bytes: int
    vector_bytes: int
    num_fields: int

    def text_bytes(self, num_rows: int, kept_bytes: int) -> int:
        """Returns what the texts of so many rows take, given what their arrays take."""
        return kept_bytes + 8 * num_rows * self.num_fields

    def all_bytes(self, num_rows: int, kept_bytes: int) -> int:
        """Returns what so many rows take: vectors, texts, row numbers and the orders of two epochs."""
        return num_rows * (self.vector_bytes + 24) + self.text_bytes(num_rows, kept_bytes)

    def holds_all(self, num_rows: int, kept_bytes: int) -> bool:
        """Returns whether so many rows can be in memory."""
        return self.all_bytes(num_rows, kept_bytes) <= self.num_bytes

    def holds_texts(self, num_rows: int, kept_bytes: int) -> bool:
        """Returns whether the texts of so many rows can be in memory beside windows of vectors."""
        return self.text_bytes(num_rows, kept_bytes) <= _TEXT_SHARE * self.num_bytes


class MemoryPlan(NamedTuple):
    """What is in memory.

    Attributes:
      num_windows: how many windows an epoch has; None: everything is in memory.
      keeps_texts: whether all texts are in memory.
      num_bytes: how much of the budget that takes, at most.
    """

    num_windows: int | None
    keeps_texts: bool
    num_bytes: int


def plan_memory(reader: RowReader, budget: MemoryBudget) -> MemoryPlan:
    """Returns what fits the budget: everything; or windows and all texts; or windows alone.

    It counts row numbers, the orders of two epochs, texts, and embeddings or two windows of them.
    """
    num_rows, num_blocks, kept_bytes = len(reader.index), len(reader.index.read_blocks), reader.index.kept_bytes
    if budget.holds_all(num_rows, kept_bytes):
        return MemoryPlan(None, True, budget.all_bytes(num_rows, kept_bytes))
    largest_block = int(np.diff(reader.index.block_ranks).max())
    two_blocks = 2 * largest_block * (reader.vectors.bytes_per_vector + reader.texts.bytes_per_chosen + 16)
    for keeps_texts in (True, False):
        left = budget.num_bytes - 8 * num_rows - (budget.text_bytes(num_rows, kept_bytes) if keeps_texts else 0)
        blocks_per_window = left // two_blocks
        if blocks_per_window >= 1 and not (keeps_texts and not budget.holds_texts(num_rows, kept_bytes)):
            return MemoryPlan(-(-num_blocks // blocks_per_window), keeps_texts, budget.num_bytes)
    raise ValueError(
        f"memory_budget_bytes must hold the row numbers and two blocks, {8 * num_rows + two_blocks:,} here, "
        f"got {budget.num_bytes:,}"
    )
