"""The parts of a step as programs of their own: a micro-batch's two passes, the loss, and the optimizer.

Promises: the parts are the step's own functions at its own shapes, or at fewer rows to be timed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.losses.loss import Pairs
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.training.dropout import training_inputs
from lit_precompute.tune.training.shapes import Shapes, vocabulary_size
from lit_precompute.tune.training.step import Functions, Start

_REPEATS = 2
# On CPUs, where large micro-batches and losses take minutes, of one pass as many texts are timed as take about so many
# operations, six for each parameter and token; and so many pairs of the loss.
_CPU_OPERATIONS, _CPU_PAIRS = 3e11, 1_024


class Timed(NamedTuple):
    """What a part of a step takes.

    Attributes:
      part: its name.
      seconds: in a whole step.
      how: what was measured, and how often it is counted.
    """

    part: str
    seconds: float
    how: str


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """The parts of a step.

    Attributes:
      recipe: what is trained.
      functions: what the step computes.
      start: shapes of the first state.
      inputs: shapes of the text side's inputs, of a whole step.
      num_texts: of a step.
      num_columns: texts for each image.
      micro_batch_size: texts whose activations are in memory at once.
      width: of the two sides' embeddings.
      image_is_trained: whether the loss has gradients of the images.
    """

    recipe: Recipe
    functions: Functions
    start: Start
    inputs: Any
    num_texts: int
    num_columns: int
    micro_batch_size: int
    width: int
    image_is_trained: bool

    def forward(self, text: Any, locked: Any, inputs: Any) -> jax.Array:
        """Returns a micro-batch's embeddings."""
        return self.functions.gradient(locked).encode_text(text, inputs)

    def backward(self, text: Any, locked: Any, inputs: Any, of_embeddings: jax.Array) -> Any:
        """Returns the gradients of a micro-batch, which is encoded again."""
        _, pull_back = jax.vjp(lambda parameters: self.forward(parameters, locked, inputs), text)
        return pull_back(of_embeddings)[0]

    def loss(self, parameters: Any, images: jax.Array, texts: jax.Array, present: Any) -> Any:
        """Returns the loss of embeddings with its gradients."""

        def value(parameters: Any, images: jax.Array, texts: jax.Array) -> jax.Array:
            return self.functions.loss.value(parameters, unit_rows(images), unit_rows(texts), Pairs(present=present))

        which = (0, 1, 2) if self.image_is_trained else (0, 2)
        return jax.value_and_grad(value, argnums=which)(parameters, images, texts)

    def update(self, gradients: Any, optimizer: Any, parameters: Any) -> Any:
        """Returns the next parameters and the optimizer's next state."""
        updates, optimizer = self.functions.optimizer.update(gradients, optimizer, parameters)
        return optax.apply_updates(parameters, updates), optimizer

    def activation_bytes(self) -> int:
        """Returns what the backward pass of a micro-batch needs beside its arguments and results."""
        inputs = _first(self.inputs, self.micro_batch_size)
        embeddings = jax.ShapeDtypeStruct((self.micro_batch_size, self.width), jnp.float32)
        return _temporary_bytes(self.backward, self.start.state.parameters.text, self.start.locked, inputs, embeddings)

    def loss_bytes(self) -> int:
        """Returns what the loss of a whole batch needs beside its arguments and results."""
        return _temporary_bytes(self.loss, self.start.state.parameters.loss, *self._embeddings(self.recipe.batch_size))

    def embedding_bytes(self) -> int:
        """Returns the bytes of a batch's embeddings with their gradients."""
        return 2 * 4 * self.width * (self.num_texts + self.recipe.batch_size)

    def time(self) -> Iterator[Timed]:
        """Yields the times of the parts of a step, on drawn parameters and data."""
        state, locked = jax.jit(self.functions.draw)(jax.random.key(self.recipe.seed), {})
        is_cpu = jax.default_backend() == "cpu"
        num_texts = self._num_timed_texts() if is_cpu else self.micro_batch_size
        # With one micro-batch the text side runs once, and the backward pass has that run in it.
        if self.micro_batch_size < self.num_texts:
            yield self._timed("forward", num_texts, self.forward, state.parameters.text, locked)
        yield self._timed("forward and backward", num_texts, self.backward, state.parameters.text, locked)
        yield self._timed_loss(state.parameters.loss, is_cpu=is_cpu)
        seconds = _seconds(self.update, state.parameters, state.optimizer, state.parameters)
        yield Timed("optimizer", seconds, f"one update measured, {seconds:.3g} s")

    def _num_timed_texts(self) -> int:
        num_parameters = sum(leaf.size for leaf in jax.tree.leaves(self.start.state.parameters.text))
        each = 6 * max(1, num_parameters) * jax.tree.leaves(self.inputs)[0].shape[-1]
        return max(1, min(self.micro_batch_size, round(_CPU_OPERATIONS / each)))

    def _timed(self, part: str, num_texts: int, function: Callable[..., Any], *parameters: Any) -> Timed:
        inputs = jax.tree.map(_drawn(vocabulary_size(self.recipe)), _first(self.inputs, num_texts))
        more = (jnp.ones((num_texts, self.width)),) if function == self.backward else ()
        seconds = _seconds(function, *parameters, inputs, *more)
        times = self.num_texts / num_texts
        return Timed(part, seconds * times, f"{num_texts:,} texts measured, {seconds:.3g} s{_times(times)}")

    def _timed_loss(self, parameters: Any, *, is_cpu: bool) -> Timed:
        batch_size = self.recipe.batch_size
        group = self._group_size(batch_size)
        num_pairs = min(batch_size, max(_CPU_PAIRS, group if group < batch_size else 0)) if is_cpu else batch_size
        num_pairs -= num_pairs % min(group, num_pairs)
        embeddings = [jax.tree.map(_drawn(2), shape) for shape in self._embeddings(num_pairs)]
        seconds = _seconds(self.loss, parameters, *embeddings)
        # As many similarities as rows times the columns that each is contrasted with.
        times = batch_size * group / (num_pairs * min(group, num_pairs))
        how = f"{num_pairs:,} pairs measured, {seconds:.3g} s{_times(times)}"
        return Timed("loss", seconds * times, how)

    def _group_size(self, batch_size: int) -> int:
        return self.recipe.loss.group_size or batch_size

    def _embeddings(self, num_pairs: int) -> tuple[Any, Any, Any]:
        rows = jax.ShapeDtypeStruct((num_pairs, self.width), jnp.float32)
        texts = jax.ShapeDtypeStruct((num_pairs * self.num_columns, self.width), jnp.float32)
        present = jax.ShapeDtypeStruct((num_pairs, self.num_columns), jnp.bool_) if self.num_columns > 1 else None
        return rows, texts, present


def make_parts(recipe: Recipe, execution: Execution, shapes: Shapes, functions: Functions, start: Start) -> Parts:
    """Returns the parts of a recipe's step."""
    _, inputs = jax.eval_shape(
        lambda images, texts: training_inputs(shapes.sides, images, texts, seed=recipe.seed, step=jnp.int32(0)),
        shapes.images,
        shapes.texts.inputs,
    )
    num_texts = jax.tree.leaves(inputs)[0].shape[0]
    return Parts(
        recipe=recipe,
        functions=functions,
        start=start,
        inputs=inputs,
        num_texts=num_texts,
        num_columns=num_texts // recipe.batch_size,
        micro_batch_size=min(execution.micro_batch_size or num_texts, num_texts),
        width=shapes.sides.text.output_width,
        image_is_trained=bool(shapes.sides.image.parameter_shapes),
    )


def _times(number: float) -> str:
    return f", times {number:,.6g}" if number != 1 else ""


def _first(tree: Any, num_rows: int) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((num_rows, *leaf.shape[1:]), leaf.dtype), tree)


def _drawn(num_ids: int) -> Callable[[jax.ShapeDtypeStruct], jax.Array]:
    """Returns what makes an array of a shape: ids, vectors, keys of dropout, or True."""

    def draw(shape: jax.ShapeDtypeStruct) -> jax.Array:
        key = jax.random.key(0)
        if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
            return jax.random.split(key, shape.shape)
        if shape.dtype == jnp.bool_:
            return jnp.ones(shape.shape, shape.dtype)
        if jnp.issubdtype(shape.dtype, jnp.integer):
            return jax.random.randint(key, shape.shape, 0, min(num_ids, jnp.iinfo(shape.dtype).max), shape.dtype)
        return jax.random.normal(key, shape.shape, shape.dtype)

    return draw


def _temporary_bytes(function: Callable[..., Any], *shapes: Any) -> int:
    analysis = jax.jit(function).lower(*shapes).compile().memory_analysis()
    return 0 if analysis is None else int(analysis.temp_size_in_bytes)


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Returns the shortest of a few calls, after one that is not timed."""
    program = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    times: list[float] = []
    for _ in range(_REPEATS):
        started_s = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - started_s)
    return min(times)
