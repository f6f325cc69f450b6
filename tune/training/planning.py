"""What a training is before it starts: parameters, memory, work, and the time of its parts on this device.

Promises: memory is what the compiler says of the parts' programs at their real shapes, which are not run for it. Times
are measured on drawn parameters; what was too large to be timed here is scaled by its count, and the plan says so.
Nothing is read or written.

Does not: count what the runtime itself needs, or the time of reading data, checkpoints and an image side's head.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

import jax

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.training.parts import Parts, make_parts
from lit_precompute.tune.training.shapes import Shapes
from lit_precompute.tune.training.step import Start, make_functions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes, each where the part needs them; at any time at most their `total`.

    Attributes:
      parameters: of both sides and the loss, trained or not.
      optimizer: the optimizer's state.
      gradients: their sum over micro-batches, and those of one.
      activations: of one micro-batch, forward and backward.
      loss: the similarities of a tile, and what the loss keeps.
      batch: a batch, and its embeddings with their gradients.
      data: embeddings and tokens that are kept, at most.
    """

    parameters: int
    optimizer: int
    gradients: int
    activations: int
    loss: int
    batch: int
    data: int

    @property
    def total(self) -> int:
        """All but the smaller of activations and loss, which are not there at the same time."""
        parts = sum(dataclasses.asdict(self).values())
        return parts - min(self.activations, self.loss)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to do.

    Attributes:
      num_parameters: by part: text tower, image head, loss; `locked` are not trained.
      num_steps: steps.
      batch_size: pairs of a step.
      texts_per_step: texts of a step, which may be several for an image.
      num_micro_batches: of a step.
      num_examples: pairs of all steps.
      num_epochs: passes over the dataset; None where its size is not known.
    """

    num_parameters: dict[str, int]
    num_steps: int
    batch_size: int
    texts_per_step: int
    num_micro_batches: int
    num_examples: int
    num_epochs: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A training's work and memory.

    Attributes:
      work: what there is to do.
      memory: what it takes.
      device: what it was asked of.
    """

    work: Work
    memory: Memory
    device: str


def make_plan(recipe: Recipe, execution: Execution, shapes: Shapes, *, num_rows: int | None) -> tuple[Plan, Parts]:
    """Returns the plan of a recipe, and the parts of its step, to be timed.

    Args:
      recipe: what is trained.
      execution: how it is computed.
      shapes: its sides and batches.
      num_rows: pairs of the dataset; None where that is not known.

    Raises:
      ValueError: the recipe counts epochs, and the number of rows is not known; or the recipe trains nothing.
    """
    num_steps = _count_steps(recipe, num_rows)
    functions = make_functions(recipe, execution, shapes.sides, num_steps)
    start = jax.eval_shape(functions.draw, jax.random.key(recipe.seed), {})
    parts = make_parts(recipe, execution, shapes, functions, start)
    work = Work(
        num_parameters=_num_parameters(start),
        num_steps=num_steps,
        batch_size=recipe.batch_size,
        texts_per_step=parts.num_texts,
        num_micro_batches=math.ceil(parts.num_texts / parts.micro_batch_size),
        num_examples=num_steps * recipe.batch_size,
        num_epochs=None if num_rows is None else num_steps * recipe.batch_size / num_rows,
    )
    memory = Memory(
        parameters=_num_bytes((start.state.parameters, start.locked)),
        optimizer=_num_bytes(start.state.optimizer),
        gradients=_num_bytes(start.state.parameters) * (2 if work.num_micro_batches > 1 else 1),
        activations=parts.activation_bytes(),
        loss=parts.loss_bytes(),
        batch=_num_bytes((shapes.images, shapes.texts)) + parts.embedding_bytes(),
        data=_data_bytes(execution, shapes, num_rows),
    )
    return Plan(work=work, memory=memory, device=_device()), parts


def _count_steps(recipe: Recipe, num_rows: int | None) -> int:
    if recipe.num_steps is not None:
        return recipe.count_steps(0)
    if num_rows is None:
        raise ValueError(
            f"num_epochs is {recipe.num_epochs}, which is no number of steps without a dataset: give --dataset, --rows "
            "or --num-steps"
        )
    if num_rows < recipe.batch_size:
        raise ValueError(f"batch_size must be <= the {num_rows:,} rows, got {recipe.batch_size:,}")
    return recipe.count_steps(num_rows // recipe.batch_size)


def _num_parameters(start: Start) -> dict[str, int]:
    parameters = start.state.parameters
    parts: dict[str, Any] = {
        "text tower": parameters.text,
        "image head": parameters.image,
        "loss": parameters.loss,
        "locked": start.locked,
    }
    return {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in parts.items()}


def _num_bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _data_bytes(execution: Execution, shapes: Shapes, num_rows: int | None) -> int:
    """Returns the bytes of all rows, or of as many as the budget holds."""
    if num_rows is None:
        return execution.memory_budget_bytes
    images: StoredVectors = shapes.images
    num_pairs = images.numbers.shape[0]
    row_bytes = _num_bytes((images, shapes.texts.inputs)) / num_pairs
    return min(execution.memory_budget_bytes, round(num_rows * row_bytes))


def reason_not_to_time(memory: Memory) -> str:
    """Returns why the parts cannot be timed here, in words: what they need at least is more than there is; else ""."""
    needed = memory.parameters + memory.optimizer + memory.gradients
    statistics = jax.devices()[0].memory_stats()
    if statistics is not None:
        there = int(statistics.get("bytes_limit", needed))
    else:  # a CPU has the machine's
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed <= there:
        return ""
    return f"parameters, optimizer and gradients take {needed / 1e9:,.1f} GB, and there are {there / 1e9:,.1f} GB here"


def _device() -> str:
    device = jax.devices()[0]
    return f"{device.device_kind} ({jax.default_backend()})"
