"""What the runs of a sweep have in common: what they read of the dataset, and the programs that they compile.

Promises: a run gets the same rows, texts, tokens and programs, and so ends in the same bits, as one that reads and
compiles for itself.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import threading
from collections.abc import Sequence

import jax

from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.mixtures import Joined
from lit_precompute.tune.training.datasets import TrainedOn
from lit_precompute.tune.training.inputs import Inputs, prepare_inputs

# What is trained on the data, and how. All other fields of a recipe, also future ones, count as saying what is read.
_NOT_READ = {"trained", "loss", "optimizer", "batch_size", "num_epochs", "num_steps", "compute_type", "seed"}
# Of two runs at a time, so that programs of runs that alternate are kept, and not those of a hundred.
_MAX_PROGRAMS = 4


class _Kept(Inputs):
    """Inputs that other runs use, too: no run closes them."""

    def close(self) -> None:
        """Does nothing."""


class SharedInputs:
    """What the latest run was prepared with, for the next one; rows that are not all in memory are not shared."""

    def __init__(self):
        """Holds nothing yet."""
        self._key: object = None
        self._inputs: Inputs | None = None

    def prepare(self, trained_on: Sequence[TrainedOn], recipe: Recipe, memory_budget_bytes: int) -> Inputs:
        """Returns what a run trains on: the latest run's rows and texts in this one's order, or what is read now.

        Raises:
          ValueError: a dataset, a selection or the recipe cannot be trained on.
        """
        key = (what_is_read(recipe), memory_budget_bytes)
        if self._inputs is not None and self._key == key:
            assert isinstance(self._inputs.batches, Joined)
            batches = self._inputs.batches.reordered(batch_size=recipe.batch_size, seed=recipe.seed)
            return _Kept(*self._inputs)._replace(batches=batches)
        self.close()
        inputs = prepare_inputs(trained_on, recipe, memory_budget_bytes, None)
        if not isinstance(inputs.batches, Joined) or not inputs.batches.in_memory:
            return inputs
        self._key, self._inputs = key, inputs
        return _Kept(*inputs)

    def close(self) -> None:
        """Closes what was opened."""
        if self._inputs is not None:
            self._inputs.close()
        self._key = self._inputs = None


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
        self.inputs, self.programs = SharedInputs(), SharedPrograms()
        self.closing = contextlib.ExitStack()  # later runs read what an earlier one has opened

    def close(self) -> None:
        """Closes what was opened."""
        self.inputs.close()
        self.closing.close()


def what_is_read(recipe: Recipe) -> dict[str, object]:
    """Returns the fields that say what is read of a dataset: where they are equal, so are rows, texts and tokens."""
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    read: dict[str, object] = {name: value for name, value in fields.items() if name not in _NOT_READ}
    read["image_side"] = recipe.image_side.standardise
    read["text_tower"] = recipe.text_tower.table if isinstance(recipe.text_tower, StoredTextOptions) else None
    return read
