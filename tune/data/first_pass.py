"""What is read of rows while they are being found, so that no block of texts is read twice.

Texts that were read to see which rows have any are kept, and vectors are read meanwhile by other threads, for as long
as all of them can be expected to fit the budget, judged by the rows that were seen so far. What was not expected to
fit, and does in the end, is read again.

Promises: which rows are used, how they are stored and which batches they make do not depend on it; what it has in
memory fits the budget.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Sequence
from typing import Self

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.kept_texts import BlockTexts
from lit_precompute.tune.data.memory_plan import MemoryBudget
from lit_precompute.tune.data.row_index import NUM_BLOCK_THREADS
from lit_precompute.tune.data.text_source import ReadTexts
from lit_precompute.tune.data.vector_reader import ResidentVectors, VectorReader


class FirstPass:
    """See the module, and `Reading`; a context that ends the threads."""

    def __init__(self, dataset: Blocks, texts: ChosenTexts, vectors: VectorReader, budget: MemoryBudget):
        """Takes what is read, and how much memory it may take."""
        self._dataset, self._texts, self._reader, self._budget = dataset, texts, vectors, budget
        self._lock = threading.Lock()
        self._threads = concurrent.futures.ThreadPoolExecutor(NUM_BLOCK_THREADS, thread_name_prefix="vectors")
        self._kept: dict[int, BlockTexts] | None = {}
        self._vectors: ResidentVectors | None = None
        self._reads: list[concurrent.futures.Future[None]] = []
        # Of blocks whose predecessors are not all found yet: the numbers of their rows.
        self._waiting: dict[int, Int64[np.ndarray, " n"]] = {}
        self._num_seen = self._num_found = self._kept_bytes = 0

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops reading."""
        self._threads.shutdown(cancel_futures=True)

    def begin(self, blocks: Sequence[int], num_selected: int) -> None:
        """See `Reading`."""
        self._blocks, self._num_selected, self._next = blocks, num_selected, (0, 0)
        if self._budget.holds_all(num_selected, 0):
            self._vectors = ResidentVectors(self._reader, num_selected)
            self._reader.fetch_ahead(blocks, self._texts.columns)
        else:
            self._dataset.fetch_ahead(blocks, self._texts.columns)

    def add(
        self,
        block: int,
        num_selected: int,
        row_numbers: Int64[np.ndarray, " n"],
        fields: Sequence[ReadTexts],
        counts: Int64[np.ndarray, "fields n"],
    ) -> None:
        """See `Reading`."""
        with self._lock:
            self._num_seen += num_selected
            self._num_found += len(row_numbers)
            self._kept_bytes += sum(each.totals.kept_bytes for each in fields)
            self._look_ahead()
            self._waiting[block] = row_numbers
            self._read_vectors()
            is_kept = self._kept is not None
        if is_kept and len(row_numbers):
            kept = BlockTexts.of(self._texts, fields, counts)
            with self._lock:
                if self._kept is not None:
                    self._kept[block] = kept

    def _look_ahead(self) -> None:
        """Drops what cannot be expected to fit."""
        factor, budget = self._num_selected / self._num_seen, self._budget
        num_rows, kept_bytes = int(self._num_found * factor), int(self._kept_bytes * factor)
        # Kept texts are joined in the end, and are in memory twice meanwhile.
        if not (budget.holds_all(num_rows, 2 * kept_bytes) or budget.holds_texts(num_rows, kept_bytes)):
            self._kept = None
        if self._vectors is not None and not budget.holds_all(self._num_selected, 2 * kept_bytes):
            self._drop_vectors()

    def _drop_vectors(self) -> None:
        """Frees the vectors, before anything else is kept."""
        self._vectors = None  # which ends the reads that have not begun
        self._reader.skip(self._blocks)
        concurrent.futures.wait(self._reads)  # an error is met again where the block is read again
        self._reads.clear()  # an error would keep the vectors

    def _read_vectors(self) -> None:
        """Begins to read vectors of the blocks whose rows' ranks are known."""
        place, rank = self._next
        while place < len(self._blocks) and (row_numbers := self._waiting.pop(self._blocks[place], None)) is not None:
            block = self._blocks[place]
            if self._vectors is not None and len(row_numbers):
                self._reads.append(self._threads.submit(self._read_block, block, rank, row_numbers))
            elif self._vectors is not None:
                self._reader.skip([block])
            place, rank = place + 1, rank + len(row_numbers)
        self._next = place, rank

    def _read_block(self, block: int, first_rank: int, row_numbers: Int64[np.ndarray, " n"]) -> None:
        """Reads the vectors of a block, unless they were dropped before it began."""
        vectors = self._vectors
        if vectors is not None:
            vectors.read(block, first_rank, row_numbers)

    def texts(self) -> dict[int, BlockTexts] | None:
        """Returns the texts of each block that has any, or None if they are not kept; hands them over."""
        kept, self._kept = self._kept, None
        return kept

    def vectors(self) -> ResidentVectors | None:
        """Returns the vectors of all rows, whose texts are kept then, once they are read; None if they are not."""
        if self._vectors is not None:
            for read in self._reads:
                read.result()
        return self._vectors
