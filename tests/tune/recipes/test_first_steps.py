"""The first step of every recipe: its shapes at the real size, without memory, and a tiny one for real."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.recipes import RECIPES, SHORT, PaperRecipe
from lit_precompute.tune.recipes.values import image_width
from lit_precompute.tune.training.shapes import make_shapes
from lit_precompute.tune.training.step import Measured, Start, make_functions

pytestmark = pytest.mark.standard_promotion  # optax computes schedules and decays in mixed types

ROWS = 40  # of the tiny towers' tables of tokens
# Numbers of the text tower with its head, and the scale. The text ViT's is big_vision's own count, BERT's that of the
# published file, whose pooler is as large as a head.
NUM_PARAMETERS = {
    "fig5-ours-Lu-vit-b32-vit-base-sp": 110_234_880 + 1,
    "tab4-cc12m-LU-vit-b32-bert-base-wp": 109_482_240 + 1,
}


# One of each family, optimizer and way of using texts; the others are for the slow tests.
FAST = (
    "tab4-cc12m-LU-vit-b32-bert-base-wp",
    "tab5-yfcc-LU-vit-b32-t5-base-sp",
    "fig5-ours-Lu-vit-b32-vit-base-sp",
)
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES if name not in SHORT]


def compiled(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """Returns a program for arguments like these, that is compiled in half of the time and is not fast."""
    return jax.jit(function).lower(*arguments).compile({"xla_backend_optimization_level": 0})


def paper_recipe(name: str) -> PaperRecipe:
    found = RECIPES[name]
    assert isinstance(found, PaperRecipe)
    return found


def of_shape(recipe: Recipe) -> Recipe:
    """Returns the recipe with one value for all that does not change a shape."""
    return dataclasses.replace(
        recipe,
        text_tower=dataclasses.replace(recipe.text_tower, weights=None),
        tokenizer=dataclasses.replace(recipe.tokenizer, path=None),
        optimizer=dataclasses.replace(recipe.optimizer, learning_rate=1e-3, weight_decay=1e-4, warmup_steps=1),
        num_steps=10,
    )


@functools.cache
def traced(recipe: Recipe, execution: Execution, width: int) -> tuple[Start, Start, Measured]:
    """Returns the shapes of the start, and of what the first step makes of it."""
    shapes = make_shapes(recipe, width=width)
    assert recipe.num_steps is not None
    functions = make_functions(recipe, execution, shapes.sides, recipe.num_steps)
    start = jax.eval_shape(functions.draw, jax.random.key(0), {})
    state, measured = jax.eval_shape(functions.step, *start, shapes.images, shapes.texts)
    return start, Start(state, start.locked), measured


@pytest.mark.parametrize("name", NAMES)
def test_the_first_step_has_the_shapes_of_the_state(name):
    named = paper_recipe(name)
    width = image_width(named.row)
    start, after, measured = traced(of_shape(named.recipe), named.execution, width)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), start.state) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), after.state
    )
    assert measured.loss.shape == () and measured.loss.dtype == np.float32
    parameters = start.state.parameters
    assert not start.locked
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == NUM_PARAMETERS.get(
        name, sum(leaf.size for leaf in jax.tree.leaves(parameters))
    )
    shared = named.recipe.image_side.head_width or width
    assert parameters.text["head/kernel"].shape[-1] == shared
    assert {key: leaf.shape for key, leaf in parameters.image.items() if "kernel" in key} == (
        {} if named.recipe.image_side.head_width is None else {"kernel": (width, shared)}
    )


def tiny(recipe: Recipe) -> Recipe:
    """Returns a recipe of the same kinds, of a size for tests, and without dropout, which the definition lacks."""
    tower = dataclasses.replace(
        recipe.text_tower, width=16, depth=1, num_heads=2, mlp_width=32, vocabulary_rows=ROWS, weights=None, dropout=0.0
    )
    if tower.kind == "t5":
        tower = dataclasses.replace(tower, head_width=8)
    head_width = None if recipe.image_side.head_width is None else 12
    return dataclasses.replace(
        of_shape(recipe),
        text_tower=tower,
        image_side=dataclasses.replace(recipe.image_side, head_width=head_width),
        batch_size=8,
        compute_type="float32",
    )


@functools.cache
def two_steps(recipe: Recipe) -> tuple[Start, float, float, Start]:
    """Returns the start, the loss of the first step, what NumPy says it is, and the state after the second step."""
    rng = np.random.default_rng(0)
    shapes = make_shapes(recipe, width=12, vector_type="float32")
    images = StoredVectors(rng.standard_normal((8, 12)).astype(np.float32), None)
    tokens = jax.numpy.asarray(rng.integers(1, ROWS, shapes.texts.inputs.shape, np.int32))  # pyright: ignore
    present = None if shapes.texts.present is None else np.ones(shapes.texts.present.shape, bool)
    functions = make_functions(recipe, Execution(micro_batch_size=4), shapes.sides, recipe.num_steps or 1)
    key = jax.random.key(0)
    start = compiled(functions.draw, key, {})(key, {})
    parameters = start.state.parameters
    encode = compiled(shapes.sides.text.apply, parameters.text, tokens)
    texts = np.asarray(encode(parameters.text, tokens), np.float64).reshape(8, -1, 12)
    embedded = np.asarray(shapes.sides.image.apply(parameters.image, images), np.float64)
    expected = sum(softmax_loss(embedded, texts[:, field]) for field in range(texts.shape[1]))
    batch = (images, TextBatch(tokens, present))
    step = compiled(functions.step, *start, *batch)
    state, measured = step(*start, *batch)
    state, _ = step(state, start.locked, *batch)
    return start, float(measured.loss), float(expected), Start(state, start.locked)


def softmax_loss(images: np.ndarray, texts: np.ndarray, scale: float = 10.0) -> float:
    """Returns the loss of section 3.1, in float64."""
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    logits = scale * texts @ images.T
    sums = np.log(np.exp(logits).sum(0)) + np.log(np.exp(logits).sum(1))
    return float(np.mean(sums / 2 - np.diag(logits)))


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_one_takes_its_first_steps(name):
    start, loss, expected, after = two_steps(tiny(RECIPES[name].recipe))
    assert loss == pytest.approx(expected, rel=1e-5)
    before, now = start.state.parameters, after.state.parameters
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(now))
    moved = [not np.array_equal(before.text[key], now.text[key]) for key in before.text]
    assert np.mean(moved) > 0.5  # an embedding of an unused position or segment does not move
    assert all(not np.array_equal(before.image[key], now.image[key]) for key in before.image if "kernel" in key)
