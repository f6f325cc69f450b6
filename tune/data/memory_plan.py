"""What of a dataset is in memory: everything, or windows of its embeddings, with or without all texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lit_precompute.tune.data.row_reader import RowReader

# All texts are kept in memory beside windows of vectors if they take at most this share of the budget.
_TEXT_SHARE = 0.25


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


def plan_memory(reader: RowReader, budget: int) -> MemoryPlan:
    """Returns what fits the budget: everything; or windows and all texts; or windows alone.

    It counts row numbers, the orders of two epochs, texts, and embeddings or two windows of them.
    """
    num_rows, num_blocks = len(reader.index), len(reader.index.read_blocks)
    vector_bytes = reader.bytes_per_vector
    text_bytes = reader.index.kept_bytes + 8 * num_rows * len(reader.index.fields)
    if (all_bytes := num_rows * (len(reader.images) * vector_bytes + 24) + text_bytes) <= budget:
        return MemoryPlan(None, True, all_bytes)
    largest_block = int(np.diff(reader.index.block_ranks).max())
    two_blocks = 2 * largest_block * (vector_bytes + reader.texts.bytes_per_chosen + 16)
    for keeps_texts in (True, False):
        left = budget - 8 * num_rows - (text_bytes if keeps_texts else 0)
        blocks_per_window = left // two_blocks
        if blocks_per_window >= 1 and not (keeps_texts and text_bytes > _TEXT_SHARE * budget):
            return MemoryPlan(-(-num_blocks // blocks_per_window), keeps_texts, budget)
    raise ValueError(
        f"memory_budget_bytes must hold the row numbers and two blocks, {8 * num_rows + two_blocks:,} here, "
        f"got {budget:,}"
    )
