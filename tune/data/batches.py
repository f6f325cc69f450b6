"""Batches of image embeddings and texts: a batch is a function of the seed and the step.

Promises: `batch(step)` is the same whether steps are requested in order, at random or after a restart; there is no
iterator state to save. An epoch is `num_batches_per_epoch` full batches and contains no row twice. The few rows that do
not fill a batch are left out in turn, so that over any number of epochs all rows are seen equally often, to within one.
(A batch across two epochs could contain an image twice, and each copy would be a false negative of the other.)

Where embeddings and texts fit `memory_budget_bytes`, an epoch is a permutation of all rows; otherwise blocks are
shuffled and mixed in windows. `order()` returns what the order depends on besides the seed: store it with checkpoints.

Does not: move anything to a device, or mix batches of several datasets (`mixtures`).
"""

import copy
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, Int64

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.first_pass import FirstPass
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.kept_texts import join_texts, read_texts
from lit_precompute.tune.data.memory_plan import MemoryBudget, plan_memory
from lit_precompute.tune.data.resident_rows import ResidentRows
from lit_precompute.tune.data.row_index import index_rows
from lit_precompute.tune.data.row_reader import RowReader
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.data.vector_reader import VectorReader
from lit_precompute.tune.data.windowed_rows import WindowedRows


class Batch(NamedTuple):
    """One step's rows.

    Attributes:
      images: embeddings as the dataset stores them, with scales where they are int8.
      texts: equally many for each image, as tokens or as stored embeddings.
      row_numbers: each row's number in the dataset.
    """

    images: StoredVectors
    texts: TextBatch
    row_numbers: Int64[np.ndarray, " n"]


class Batches(Protocol):
    """Anything that gives batches by step."""

    def batch(self, step: int) -> Batch:
        """Returns the batch of a step, from 0."""
        ...


class BatchSource:
    """The batches of one dataset, or of several joined; safe to use from several threads."""

    def __init__(
        self,
        dataset: Blocks,
        texts: ChosenTexts,
        *,
        batch_size: int,
        seed: int,
        memory_budget_bytes: int,
        rows: Int[np.ndarray, " n"] | None = None,
        views: Sequence[Blocks] = (),
    ):
        """Reads the texts once, and all embeddings where they fit the budget.

        `rows` are the ascending numbers of rows to use (default: all); those without a text are left out and counted.
        `views` are equal datasets but for the embeddings: of each image one of them is drawn in each epoch.

        Raises:
          ValueError: no row has a text, there are fewer rows than a batch has, or the budget is too small for two
            windows of one block.
        """
        _keep_freed_memory()
        vectors = VectorReader(dataset, views)
        budget = MemoryBudget(
            memory_budget_bytes, len(vectors.images) * vectors.bytes_per_vector, num_fields=len(texts.names)
        )
        self._dataset, self._texts, self._seed, self._last_step = dataset, texts, seed, -2
        self._which = "rows with a text" if rows is None else "rows with a text that are selected and not held out"
        self._num_views = len(views)
        with FirstPass(dataset, texts, vectors, budget) as first_pass:
            self._index = index = index_rows(dataset, texts, first_pass, rows)
            self.num_rows = len(index)
            self.num_rows_without_text = index.num_rows_without_text
            self.fields = index.fields
            self._set_batch_size(batch_size)
            self._reader = RowReader(
                dataset=dataset, texts=texts, index=index, seed=seed, batch_size=batch_size, vectors=vectors
            )
            self._plan = plan_memory(self._reader, budget)
            self._rows = self._open_rows(first_pass)

    def _open_rows(self, first_pass: FirstPass) -> ResidentRows | WindowedRows:
        """Returns the rows as the plan has them."""
        reader, plan = self._reader, self._plan
        if plan.num_windows is None:
            return ResidentRows(reader, first_pass)
        kept, found = None, first_pass.texts()
        if plan.keeps_texts and found is not None:
            kept = join_texts(reader, found)
        elif plan.keeps_texts:
            self._dataset.fetch_ahead(self._index.blocks(), self._texts.columns)
            kept = read_texts(reader)
        return WindowedRows(reader, num_windows=plan.num_windows, texts=kept)

    def _set_batch_size(self, batch_size: int) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {batch_size}")
        if batch_size > self.num_rows:
            raise ValueError(
                f"batch_size must be <= {self.num_rows}, the number of {self._which}, got {batch_size}; "
                + ("training needs at least two" if self.num_rows == 1 else "a batch contains no row twice")
            )
        self.batch_size = batch_size
        self.num_batches_per_epoch = self.num_rows // batch_size

    def reordered(self, *, batch_size: int, seed: int) -> "BatchSource":
        """Returns batches of the same rows, which are in memory and stay there once, of another size or order.

        Raises:
          ValueError: there are fewer rows than a batch has.
        """
        assert isinstance(self._rows, ResidentRows)
        other = copy.copy(self)
        other._set_batch_size(batch_size)
        other._seed = seed
        other._reader = dataclasses.replace(self._reader, seed=seed, batch_size=batch_size)
        other._rows, other._last_step = self._rows.reordered(other._reader), -2
        return other

    @property
    def in_memory(self) -> bool:
        """Whether all embeddings and texts are in memory."""
        return self._plan.num_windows is None

    @property
    def num_rows_read(self) -> int:
        """Rows of all blocks that an epoch reads: of few rows that are spread over many blocks, many more than used."""
        if self.in_memory:
            return 0
        spans = map(self._dataset.block_span, self._index.read_blocks.tolist())
        return sum(stop - start for start, stop in spans)

    @property
    def num_bytes(self) -> int:
        """Memory that rows and texts may take: of the budget, what nobody else may use."""
        return self._plan.num_bytes

    def count_rows(self, start: int, stop: int) -> int:
        """Returns how many of the dataset's rows [start, stop) are used."""
        first, last = np.searchsorted(self._index.row_numbers, (start, stop))
        return int(last - first)

    def order(self) -> dict[str, int | str]:
        """Returns what the order of rows depends on besides the seed; a resumed run must have the same."""
        fields: dict[str, int | str] = {"kind": "rows", "batch_size": self.batch_size, "num_rows": self.num_rows}
        if self._num_views:
            fields["num_views"] = self._num_views
        windows = self._plan.num_windows
        return fields if windows is None else fields | {"kind": "windows", "num_windows": windows}

    def batch(self, step: int) -> Batch:
        """Returns the batch of a step.

        Raises:
          IndexError: the step is negative.
        """
        if step < 0:
            raise IndexError(f"step must be >= 0, got {step}")
        epoch, number = divmod(step, self.num_batches_per_epoch)
        # Reading ahead pays only where the next step follows; a single step out of order may be the only one.
        in_turn, self._last_step = step == self._last_step + 1, step
        start = number * self.batch_size
        rows = self._rows.rows(epoch, start, start + self.batch_size, read_ahead=in_turn)
        texts = self._texts.in_batch(rows.texts, seed=self._seed, step=step)
        return Batch(StoredVectors(rows.vectors, rows.scales), texts, rows.row_numbers)

    def close(self) -> None:
        """Ends the thread that reads ahead."""
        self._rows.close()


def _keep_freed_memory() -> None:
    """Makes glibc reuse freed blocks of up to 31 MB instead of returning them to the system.

    Its threshold follows the largest block that was freed. Blocks and batches of megabytes are allocated and freed all
    the time here, and fresh memory is slower than the disk's cache.
    """
    np.empty(31 << 20, np.uint8)
