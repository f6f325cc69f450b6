"""The compiled programs of a training: one draws the first state, one makes a step.

Promises: both compile in parallel while the caller does other things.
"""

import concurrent.futures
from collections.abc import Callable, Mapping, Set
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from lit_precompute.schemas.vectors import StoredVectors, VectorType, numpy_type
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.losses.loss import Loss
from lit_precompute.tune.model.sides import Sides
from lit_precompute.tune.training.step import Locked, Measured, Start, TrainingState, make_functions


class Programs(NamedTuple):
    """The programs of a training.

    Attributes:
      loss: the recipe's loss.
      state_shapes: shapes and types of a state.
      locked_names: the text tower's parameters that are not trained.
      draw: returns the start.
      step: maps (state, locked, images, texts) to (state, measured); it consumes the state it is given.
    """

    loss: Loss
    state_shapes: TrainingState
    locked_names: Set[str]
    draw: Callable[[], Start]
    step: Callable[[TrainingState, Locked, StoredVectors, TextBatch], tuple[TrainingState, Measured]]


def start_compiling(
    recipe: Recipe,
    execution: Execution,
    sides: Sides,
    *,
    width: int,
    vector_type: VectorType,
    texts: TextBatch,
    num_steps: int,
    weights: Mapping[str, Float32[np.ndarray, "..."]] | None = None,
    compile_program: Callable[[jax.stages.Lowered], jax.stages.Compiled] = jax.stages.Lowered.compile,
) -> Programs:
    """Returns the programs for embeddings of this width and stored type; their first calls wait for the compiler.

    Args:
      recipe: what is trained.
      execution: how it is computed.
      sides: the towers.
      width: of the stored embeddings.
      vector_type: their type.
      texts: those of any batch.
      num_steps: of the training.
      weights: those of the text tower's parameters that do not start at random.
      compile_program: compiles what was lowered; called in threads.

    Raises:
      ValueError: the recipe trains nothing, or locks what the text tower does not have.
    """
    weights = weights or {}
    functions = make_functions(recipe, execution, sides, num_steps)
    key = jax.random.key(recipe.seed)
    # XLA compiles without Python's lock: one program compiles while the other is traced, then both in parallel.
    threads = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="compile")
    given = {name: jax.ShapeDtypeStruct(value.shape, jnp.float32) for name, value in weights.items()}
    lowered_draw = jax.jit(functions.draw).lower(key, given)
    compiled_draw = threads.submit(compile_program, lowered_draw)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), lowered_draw.out_info)
    scales = jax.ShapeDtypeStruct((recipe.batch_size,), jnp.float32) if vector_type == "int8" else None
    images: Any = (jax.ShapeDtypeStruct((recipe.batch_size, width), numpy_type(vector_type)), scales)
    texts_like: Any = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), texts)
    lowered_step = jax.jit(functions.step, donate_argnums=0).lower(*shapes, StoredVectors(*images), texts_like)
    compiled_step = threads.submit(compile_program, lowered_step)
    threads.shutdown(wait=False)

    def run_step(
        state: TrainingState, locked: Locked, images: StoredVectors, texts: TextBatch
    ) -> tuple[TrainingState, Measured]:
        return compiled_step.result()(state, locked, images, texts)

    return Programs(
        functions.loss, shapes.state, shapes.locked.keys(), lambda: compiled_draw.result()(key, weights), run_step
    )
