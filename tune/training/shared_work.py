"""What the runs of a sweep have in common: what they read of the dataset, and the programs that they compile.

Promises: a run gets the same rows, texts, tokens and programs, and so ends in the same bits, as one that reads and
compiles for itself.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
import threading
from collections.abc import Callable
from typing import NamedTuple

import jax

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.training.text_inputs import TextInputs

# What is trained on the data, and how. All other fields of a recipe, also future ones, count as saying what is read.
_NOT_READ = {"trained", "loss", "optimizer", "batch_size", "num_epochs", "num_steps", "compute_type", "seed"}
# Of two runs at a time, so that programs of runs that alternate are kept, and not those of a hundred.
_MAX_PROGRAMS = 4


class TrainingData(NamedTuple):
    """What a run reads.

    Attributes:
      dataset: what it trains on.
      texts: where texts come from, and the tokenizer.
      statistics: of the embeddings, if the recipe standardises them.
      batches: the batches, in the run's order.
      is_shared: whether other runs use it, too, so that none of them closes it.
    """

    dataset: EmbeddingDataset
    texts: TextInputs
    statistics: Statistics | None
    batches: BatchSource
    is_shared: bool = False

    def close(self) -> None:
        """Closes what was opened for the run; the dataset stays open."""
        self.batches.close()
        if self.texts.dataset is not self.dataset:
            self.texts.dataset.close()


class SharedData:
    """What the latest run has read, for the next one; rows that do not fit in memory are not shared."""

    def __init__(self):
        """Holds nothing yet."""
        self._key: object = None
        self._data: TrainingData | None = None

    def open(self, recipe: Recipe, execution: Execution, read: Callable[[], TrainingData]) -> TrainingData:
        """Returns what the latest run has read, in this one's order, where the two agree; else what `read` returns.

        Raises:
          ValueError: there are fewer rows than a batch has.
        """
        key = (what_is_read(recipe), execution.memory_budget_bytes)
        if self._data is not None and self._key == key:
            batches = self._data.batches.reordered(batch_size=recipe.batch_size, seed=recipe.seed)
            return self._data._replace(batches=batches)
        self.close()
        data = read()
        if data.batches.in_memory:
            self._key, self._data = key, data._replace(is_shared=True)
        return self._data or data

    def close(self) -> None:
        """Lets go of what was read."""
        if self._data is not None:
            self._data.close()
        self._key = self._data = None


class SharedPrograms:
    """The newest programs; one that is lowered to the same text as another is not compiled again."""

    def __init__(self):
        """Holds nothing yet."""
        self._lock = threading.Lock()
        self._programs: collections.OrderedDict[bytes, concurrent.futures.Future[jax.stages.Compiled]]
        self._programs = collections.OrderedDict()

    def compile(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Returns the compiled program; safe to call from several threads."""
        key = hashlib.sha256(f"{lowered.in_tree}{lowered.out_tree}{lowered.as_text()}".encode()).digest()
        with self._lock:
            is_new = key not in self._programs
            found = self._programs.setdefault(key, concurrent.futures.Future())
            self._programs.move_to_end(key)
            while len(self._programs) > _MAX_PROGRAMS:
                self._programs.popitem(last=False)
        if is_new:
            try:
                found.set_result(lowered.compile())
            except BaseException as error:
                found.set_exception(error)
                raise
        return found.result()


class SharedWork:
    """What runs before this one have read and compiled."""

    def __init__(self):
        """Holds nothing yet."""
        self.data, self.programs = SharedData(), SharedPrograms()

    def close(self) -> None:
        """Lets go of what was read."""
        self.data.close()


def what_is_read(recipe: Recipe) -> dict[str, object]:
    """Returns the fields that say what is read of a dataset: where they are equal, so are rows, texts and tokens."""
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    read: dict[str, object] = {name: value for name, value in fields.items() if name not in _NOT_READ}
    read["image_side"] = recipe.image_side.standardise
    read["text_tower"] = recipe.text_tower.table if isinstance(recipe.text_tower, StoredTextOptions) else None
    return read
