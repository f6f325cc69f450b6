"""Plans: numbers against those of the compiled step, and times of all parts."""

import dataclasses
import re

import jax
import pytest

from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.towers.tokenizers import WordOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.options import ImageSideOptions, TrainedOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.training.planning import make_plan, reason_not_to_time
from lit_precompute.tune.training.shapes import make_shapes
from lit_precompute.tune.training.step import make_functions

pytestmark = pytest.mark.standard_promotion

WIDTH = 48
RECIPE = Recipe(
    tokenizer=WordOptions(vocabulary_size=50),
    text_tower=ViTTextOptions(width=64, depth=2, num_heads=2, mlp_width=128),
    optimizer=AdamOptions(warmup_steps=2),
    batch_size=256,
    num_epochs=3,
)
EXECUTION = Execution(micro_batch_size=32, tile_rows=64)


def plan_of(recipe=RECIPE, execution=EXECUTION, num_rows: int | None = 1_000):
    return make_plan(recipe, execution, make_shapes(recipe, width=WIDTH), num_rows=num_rows)


def test_the_work_is_counted():
    made, _ = plan_of()
    blocks = 2 * (4 * (64 * 64 + 64) + 64 * 128 + 128 + 128 * 64 + 64 + 4 * 64)
    text = 50 * 64 + 16 * 64 + blocks + 2 * 64 + 64 * WIDTH + WIDTH
    assert made.work.num_parameters == {"text tower": text, "image head": 0, "loss": 1, "locked": 0}
    assert (made.work.num_steps, made.work.num_examples) == (9, 9 * 256)
    assert made.work.num_epochs == pytest.approx(2.304)
    assert (made.work.texts_per_step, made.work.num_micro_batches) == (256, 8)
    head = dataclasses.replace(
        RECIPE, image_side=ImageSideOptions(head_width=32), trained=TrainedOptions(last_layers=0)
    )
    parameters = plan_of(head)[0].work.num_parameters
    assert parameters["image head"] == WIDTH * 32 + 32
    assert parameters["text tower"] == 64 * 32 + 32
    assert parameters["locked"] == text - (64 * WIDTH + WIDTH)


def test_memory_is_about_that_of_the_compiled_step():
    made, _ = plan_of()
    memory, number = made.memory, sum(made.work.num_parameters.values())
    assert memory.parameters == 4 * number
    assert memory.optimizer == pytest.approx(8 * number, rel=0.01)  # Adam's two means
    assert memory.gradients == 8 * number
    assert memory.data == 1_000 * (WIDTH * 2 + 16 * 4)
    shapes = make_shapes(RECIPE, width=WIDTH)
    functions = make_functions(RECIPE, EXECUTION, shapes.sides, 9)
    start = jax.eval_shape(functions.draw, jax.random.key(0), {})
    step = jax.jit(functions.step, donate_argnums=0).lower(*start, shapes.images, shapes.texts)
    analysis = step.compile().memory_analysis()
    assert analysis is not None
    whole = analysis.argument_size_in_bytes + analysis.temp_size_in_bytes + memory.data
    assert 0.7 < memory.total / whole < 1.5


def test_activations_grow_with_the_micro_batch_and_the_loss_with_its_tile():
    small, large = (plan_of(execution=Execution(micro_batch_size=size, tile_rows=size))[0].memory for size in (16, 128))
    assert large.activations > 4 * small.activations
    assert large.loss > 2 * small.loss
    whole = plan_of(execution=Execution())[0]
    assert whole.work.num_micro_batches == 1
    assert whole.memory.gradients == small.gradients // 2


def test_every_part_is_timed():
    _, parts = plan_of()
    timed = {each.part: each for each in parts.time()}
    assert [*timed] == ["forward", "forward and backward", "loss", "optimizer"]
    assert all(each.seconds > 0 for each in timed.values())
    assert timed["forward"].how.endswith("times 8")
    assert timed["loss"].how.startswith("256 pairs measured")
    _, whole = plan_of(execution=Execution())
    assert "forward" not in [each.part for each in whole.time()]


def test_what_does_not_fit_is_not_timed():
    made, _ = plan_of()
    assert reason_not_to_time(made.memory) == ""
    huge = dataclasses.replace(made.memory, parameters=10**15)
    words = r"parameters, optimizer and gradients take 1,000,000\.\d GB, and there are [\d,.]+ GB here"
    assert re.fullmatch(words, reason_not_to_time(huge))


def test_epochs_without_rows_are_refused():
    with pytest.raises(
        ValueError, match="num_epochs is 3, which is no number of steps without a dataset: give --dataset"
    ):
        plan_of(num_rows=None)
    with pytest.raises(ValueError, match="batch_size must be <= the 100 rows, got 256"):
        plan_of(num_rows=100)
    steps = dataclasses.replace(RECIPE, num_epochs=None, num_steps=70)
    made, _ = plan_of(steps, num_rows=None)
    assert (made.work.num_steps, made.work.num_epochs) == (70, None)
    assert made.memory.data == EXECUTION.memory_budget_bytes
