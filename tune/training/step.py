"""One step of training, and the state that it carries forward.

Promises: a state is a function of the recipe's seed, the dataset and the number of steps alone. Both programs, drawing
the first state and making a step, are compiled side by side while the caller does other things. Not here: batches,
files, what happens between steps.
"""

import concurrent.futures
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from lit_precompute.schemas.vectors import VectorType, numpy_type
from lit_precompute.towers.tokenizers.tokenizer import Tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.row_index import num_scales
from lit_precompute.tune.losses.gradient_cache import CachedGradient
from lit_precompute.tune.model import image_side
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.tuned_model import make_text_tower
from lit_precompute.tune.optimizers.chain import make_optimizer, make_schedule


class TrainingState(NamedTuple):
    """All that a checkpoint holds.

    Attributes:
      step: steps done, int32.
      parameters: "text", "image" and "log_scale".
      optimizer: the optax chain's state.
    """

    step: jax.Array
    parameters: Any
    optimizer: optax.OptState


class Measured(NamedTuple):
    """What a step measures before its update, float32 scalars; and whether all parameters are finite after it."""

    loss: jax.Array
    scale: jax.Array
    learning_rate: jax.Array
    gradient_norm: jax.Array
    is_finite: jax.Array


class Programs(NamedTuple):
    """What a training is made of.

    Attributes:
      graph: the text tower without its parameters; `nnx.merge(graph, parameters["text"])` is the tower.
      state_shapes: shapes and types of a state.
      draw: returns the first state.
      step: (state, tokens [B, L], vectors [B, D], scales [B, 0 or 1]) to (state, measured); the state given is used up.
    """

    graph: Any
    state_shapes: TrainingState
    draw: Callable[[], TrainingState]
    step: Callable[[TrainingState, np.ndarray, np.ndarray, np.ndarray], tuple[TrainingState, Measured]]


def start_compiling(
    recipe: Recipe,
    tokenizer: Tokenizer,
    *,
    width: int,
    vector_type: VectorType,
    num_steps: int,
    statistics: Statistics | None,
) -> Programs:
    """Returns the programs of a recipe for vectors of this width and stored type; the first call of each may wait."""
    head_width = recipe.image_side.head_width
    optimizer = make_optimizer(recipe.optimizer, num_steps)

    def draw(key: jax.Array) -> TrainingState:
        tower = make_text_tower(recipe, tokenizer, head_width or width, nnx.Rngs(key))
        head_key = jax.random.fold_in(key, 1)  # not the text tower's stream
        parameters = {
            "text": nnx.state(tower, nnx.Param),
            "image": image_side.draw_head(recipe.image_side, width, head_key),
            "log_scale": jnp.float32(math.log(recipe.loss.initial_scale)),
        }
        return TrainingState(jnp.int32(0), parameters, optimizer.init(parameters))

    key = jax.random.key(recipe.seed)
    # XLA compiles without Python's lock: this one while the step is traced, then both at the same time.
    threads = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="compile")
    lowered_draw = jax.jit(draw).lower(key)
    compiled_draw = threads.submit(lowered_draw.compile)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), lowered_draw.out_info)
    tower = nnx.eval_shape(lambda: make_text_tower(recipe, tokenizer, head_width or width, nnx.Rngs(0)))
    graph, _ = nnx.split(tower, nnx.Param)
    step = _make_step(recipe, graph, optimizer, num_steps, statistics)
    tokens = jax.ShapeDtypeStruct((recipe.batch_size, recipe.text.max_tokens), jnp.int32)
    vectors = jax.ShapeDtypeStruct((recipe.batch_size, width), numpy_type(vector_type))
    scales = jax.ShapeDtypeStruct((recipe.batch_size, num_scales(vector_type)), jnp.float32)
    compiled_step = threads.submit(jax.jit(step, donate_argnums=0).lower(shapes, tokens, vectors, scales).compile)
    threads.shutdown(wait=False)

    def run_step(
        state: TrainingState, tokens: np.ndarray, vectors: np.ndarray, scales: np.ndarray
    ) -> tuple[TrainingState, Measured]:
        return compiled_step.result()(state, tokens, vectors, scales)

    return Programs(graph, shapes, lambda: compiled_draw.result()(key), run_step)


def _make_step(
    recipe: Recipe,
    graph: Any,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    statistics: Statistics | None,
) -> Callable[[TrainingState, jax.Array, jax.Array, jax.Array], tuple[TrainingState, Measured]]:
    schedule = make_schedule(recipe.optimizer, num_steps)
    gradient = CachedGradient(
        encode_text=lambda parameters, tokens: nnx.merge(graph, parameters)(tokens),
        encode_image=lambda parameters, vectors: image_side.encode(parameters, statistics, vectors),
        micro_batch_size=recipe.micro_batch_size or recipe.batch_size,
        tile_rows=recipe.loss.tile_rows,
    )

    def step(
        state: TrainingState, tokens: jax.Array, vectors: jax.Array, scales: jax.Array
    ) -> tuple[TrainingState, Measured]:
        loss, gradients = gradient(state.parameters, tokens, image_side.to_float32(vectors, scales))
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        measured = Measured(
            loss=loss,
            scale=jnp.exp(state.parameters["log_scale"]),
            learning_rate=jnp.float32(recipe.optimizer.learning_rate * schedule(state.step)),
            gradient_norm=optax.tree.norm(gradients),
            is_finite=_are_finite(parameters),
        )
        return TrainingState(state.step + 1, parameters, optimizer_state), measured

    return step


def _are_finite(parameters: Any) -> jax.Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(parameters)]).all()
