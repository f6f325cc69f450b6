"""One step of training, and its state.

Promises: a state is a function of the recipe, the dataset and the number of steps alone. Not here: compiling
(`programs`), batches, files, and what happens between steps.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float32, Int32

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.losses import make_loss
from lit_precompute.tune.losses.duplicates import count_duplicates, text_ids
from lit_precompute.tune.losses.gradient_cache import CachedGradient
from lit_precompute.tune.losses.loss import Loss, Pairs
from lit_precompute.tune.model.sides import Sides, TrainedParameters
from lit_precompute.tune.model.trained import rate_factors, trained_names
from lit_precompute.tune.optimizers import OptimizerOptions, SideRateOptions
from lit_precompute.tune.optimizers.averages import averaged
from lit_precompute.tune.optimizers.chain import make_optimizer
from lit_precompute.tune.optimizers.schedules import learning_rates, make_schedule
from lit_precompute.tune.training.dropout import training_encoder, training_inputs

Locked = Mapping[str, Float32[Array | np.ndarray, "..."]]


class TrainingState(NamedTuple):
    """Everything that a checkpoint contains.

    Attributes:
      step: number of steps done.
      parameters: what is trained.
      optimizer: the optax chain's state, with the parameters' moving average if the recipe keeps one.
    """

    step: Int32[Array, ""]
    parameters: TrainedParameters
    optimizer: optax.OptState

    def tuned_parameters(self) -> TrainedParameters:
        """Returns what a tuned model has after at least one step: the parameters, or their moving average."""
        return averaged(self.optimizer, self.parameters)


class Start(NamedTuple):
    """What a training begins with: the first state, and the text tower's parameters that are not trained, by name."""

    state: TrainingState
    locked: Mapping[str, Float32[Array, "..."]]


class Measured(NamedTuple):
    """What a step measures before its update, and whether all parameters are finite after it.

    Attributes:
      loss: of the batch.
      scale: what similarities are multiplied by.
      bias: what the loss adds to them; None where it adds nothing.
      duplicate_texts: texts of the batch that equal one of another image.
      learning_rate: of this step.
      gradient_norm: over all parameters.
      is_finite: whether the parameters are.
      side_rates: learning rates of the sides that have their own, by their metrics' names.
    """

    loss: Float32[Array, ""]
    scale: Float32[Array, ""]
    bias: Float32[Array, ""] | None
    duplicate_texts: Float32[Array, ""]
    learning_rate: Float32[Array, ""]
    gradient_norm: Float32[Array, ""]
    is_finite: Bool[Array, ""]
    side_rates: Mapping[str, Float32[Array, ""]]

    def metrics(self) -> dict[str, Array]:
        """Returns all that there are by name, in one dict."""
        own = self._asdict()
        return {name: value for name, value in (own | own.pop("side_rates")).items() if value is not None}


class Functions(NamedTuple):
    """What the programs of a training compute, as functions that can be traced, timed or compiled.

    Attributes:
      loss: the recipe's loss.
      optimizer: the whole chain.
      gradient: from the locked parameters, the loss and gradients of a batch.
      draw: maps (key, weights) to the start.
      step: maps (state, locked, images, texts) to (state, measured).
    """

    loss: Loss
    optimizer: optax.GradientTransformation
    gradient: Callable[[Locked], CachedGradient]
    draw: Callable[[jax.Array, Locked], Start]
    step: Callable[[TrainingState, Locked, StoredVectors, TextBatch], tuple[TrainingState, Measured]]


def make_functions(recipe: Recipe, execution: Execution, sides: Sides, num_steps: int) -> Functions:
    """Returns what the programs compute; its arguments are those of `start_compiling`.

    Raises:
      ValueError: the recipe trains nothing, or locks what the text tower does not have.
    """
    names = trained_names(recipe.trained, sides.text.parameter_shapes)
    if not names and not sides.image.parameter_shapes:
        raise ValueError("the recipe trains nothing: the text tower is locked, and the image side has no head")
    _check_sides(recipe.optimizer, sides, names)
    optimizer = make_optimizer(recipe.optimizer, num_steps, rate_factors(recipe.trained, sides.text.parameter_shapes))
    loss = make_loss(
        recipe.loss,
        image_is_trained=bool(sides.image.parameter_shapes),
        tile_rows=execution.tile_rows,
        tile_columns=execution.tile_columns,
        num_fields=recipe.text.num_joint_fields,
    )

    encode_text = training_encoder(sides.text)

    def gradient(locked: Locked) -> CachedGradient:
        return CachedGradient(
            encode_image=training_encoder(sides.image),
            encode_text=lambda trained, inputs: encode_text({**locked, **trained}, inputs),
            loss=loss,
            micro_batch_size=execution.micro_batch_size or recipe.batch_size,
        )

    def draw(key: jax.Array, weights: Locked) -> Start:
        text = sides.text.initialise(key) | {name: jnp.asarray(value) for name, value in weights.items()}
        parameters = TrainedParameters(
            image=sides.image.initialise(jax.random.fold_in(key, 1)),  # independent of the text tower's stream
            loss=loss.initialise(),
            text={name: value for name, value in text.items() if name in names},
        )
        locked = {name: value for name, value in text.items() if name not in names}
        return Start(TrainingState(jnp.int32(0), parameters, optimizer.init(parameters)), locked)

    step = _make_step(gradient, optimizer, recipe, sides, num_steps)
    return Functions(loss=loss, optimizer=optimizer, gradient=gradient, draw=draw, step=step)


def _make_step(
    gradient: Callable[[Locked], CachedGradient],
    optimizer: optax.GradientTransformation,
    recipe: Recipe,
    sides: Sides,
    num_steps: int,
) -> Callable[[TrainingState, Locked, StoredVectors, TextBatch], tuple[TrainingState, Measured]]:
    options = recipe.optimizer
    schedule = make_schedule(options, num_steps)

    def step(
        state: TrainingState, locked: Locked, images: StoredVectors, texts: TextBatch
    ) -> tuple[TrainingState, Measured]:
        cached = gradient(locked)
        inputs = training_inputs(sides, images, texts.inputs, seed=recipe.seed, step=state.step)
        present = None if texts.present is None else jnp.asarray(texts.present)
        ids = text_ids(texts.inputs, recipe.batch_size, recipe.text.num_joint_fields)
        pairs = Pairs(present, ids if recipe.loss.mask_duplicates else None)
        loss, gradients = cached(state.parameters, *inputs, pairs)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.parameters)
        parameters: Any = optax.apply_updates(state.parameters, updates)
        measured = Measured(
            loss=loss,
            scale=cached.loss.scale(state.parameters.loss),
            bias=None if cached.loss.bias is None else cached.loss.bias(state.parameters.loss),
            duplicate_texts=count_duplicates(ids, present),
            learning_rate=jnp.float32(options.learning_rate * schedule(state.step)),
            gradient_norm=optax.tree.norm(gradients),
            is_finite=_are_finite(parameters),
            side_rates=learning_rates(options, num_steps, state.step),
        )
        return TrainingState(state.step + 1, parameters, optimizer_state), measured

    return step


def _check_sides(options: OptimizerOptions, sides: Sides, text_names: Set[str]) -> None:
    """Raises ValueError if a side has a learning rate of its own and nothing that is trained."""
    trained = {"image": sides.image.parameter_shapes, "text": text_names}
    for side, given in options.sides().items():
        if not trained[side] and given != SideRateOptions():
            raise ValueError(
                f"optimizer.{side} must be left out where nothing of the {side} side is trained, got {given}"
            )


def _are_finite(parameters: Any) -> jax.Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(parameters)]).all()
