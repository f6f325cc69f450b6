"""Sweeps as data: which runs values make, their names, and what is refused."""

import dataclasses
import itertools

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.tune.config.sweeping import MAX_RUNS, make_points, read_axes
from lit_precompute.tune.recipes import RECIPES

DEMO = RECIPES["demo"].recipe
PAPERS = ["optimizer.learning-rate=1e-3,8e-4,3e-4", "--optimizer.weight_decay=1e-4,1e-5"]


def points(*texts):
    return make_points(DEMO, read_axes(texts, DEMO))


def test_the_papers_sweep_is_a_product_of_rates_and_decays():
    """Three learning rates and two decays, arXiv:2111.07991, appendix C."""
    found = [(point.recipe.optimizer.learning_rate, point.recipe.optimizer.weight_decay) for point in points(*PAPERS)]
    assert found == [*itertools.product((1e-3, 8e-4, 3e-4), (1e-4, 1e-5))]


def test_a_name_tells_the_values_however_they_are_written():
    (one,) = points("optimizer.learning_rate=1e-3", "seed=0")
    (other,) = points("optimizer.learning-rate=0.0010", "seed=00")
    assert one.name == other.name == "learning_rate=0.001,seed=0"
    assert one.values == {"optimizer.learning_rate": 0.001, "seed": 0}


def test_paths_that_end_alike_are_written_whole():
    (point,) = points("text_tower.kind=vit", "tokenizer.kind=words")
    assert point.name == "text_tower.kind=vit,tokenizer.kind=words"


def test_names_are_folders_and_differ():
    made = points("text.choice=join", "text.separator=/,:,?")
    assert len({point.name for point in made}) == 3
    assert all("/" not in point.name and point.name not in (".", "..") for point in made)
    (long,) = points("text.choice=join", f"text.separator={'x' * 300}")
    assert len(long.name) < 255


def test_a_value_with_a_comma_is_quoted():
    assert read_axes(['text.separator=", ",;'], DEMO) == {"text.separator": [", ", ";"]}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["seed"], r"--sweep must be FIELD=VALUE,VALUE\.\.\., got 'seed'"),
        (["=1"], r"--sweep must be FIELD=VALUE"),
        (["seed=1", "seed=2"], r"--sweep seed is given twice; give it once, with all values"),
        (["optimizer.learning_rate=1", "optimizer.learning-rate=2"], r"learning_rate is given twice"),
        (["sede=1"], r"sede is not a field of the recipe: a recipe has data, text, "),
        (["seed=1,two"], r"seed must be of type int, got 'two'"),
        (["seed="], r"seed has no values to sweep"),
        (["seed=1,2,1"], r"seed has the same value twice: 1, 2, 1"),
        (["optimizer.learning_rate=1e-3,0.001"], r"optimizer\.learning_rate has the same value twice"),
        (["text_tower.weights=a,b"], r"text_tower\.weights cannot be swept"),
        (["batch_size=8,1", "seed=0"], r"batch_size=1,seed=0: batch_size must be >= 2, got 1"),
    ],
)
def test_what_makes_no_sweep_is_refused(texts, message):
    with pytest.raises(OptionsError, match=message):
        points(*texts)


def test_too_many_runs_are_refused_before_any_is_made():
    axes = {"seed": [*range(MAX_RUNS)], "batch_size": [8, 16]}
    with pytest.raises(OptionsError, match=r"at most 1,000 runs, got 2,000"):
        make_points(DEMO, axes)


def test_combinations_that_cannot_train_are_refused_before_any_is_trained():
    text_tower = ViTTextOptions(width=64, depth=1, num_heads=4, mlp_width=64, max_positions=16)
    recipe = dataclasses.replace(DEMO, text_tower=text_tower)
    with pytest.raises(OptionsError, match=r"max_tokens=32: text\.max_tokens must be <= 16"):
        make_points(recipe, {"text.max_tokens": [16, 32]})


def test_nothing_to_sweep_is_refused():
    with pytest.raises(OptionsError, match="at least one field"):
        make_points(DEMO, {})
