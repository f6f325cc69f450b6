"""Recipes: checks across fields, round trips through JSON, the named recipes."""

import dataclasses
import json
import re

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.losses import SigmoidOptions, SoftmaxOptions
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes import RECIPES
from tests.tune.small_runs import RECIPE


@pytest.mark.parametrize("name", RECIPES)
def test_round_trips_through_json(name):
    assert Recipe.from_json(json.loads(json.dumps(RECIPES[name].recipe.to_json()))) == RECIPES[name].recipe


def test_every_recipe_has_a_purpose_and_a_source():
    for name, named in RECIPES.items():
        assert named.name == name and named.purpose and named.source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 1}, "batch_size must be >= 2, got 1"),
        ({"num_epochs": 3}, "exactly one of num_epochs and num_steps must be given, got num_epochs 3, num_steps 24"),
        ({"num_steps": None}, "exactly one of num_epochs and num_steps must be given"),
        ({"num_steps": 0}, "num_steps must be >= 1, got 0"),
        ({"num_steps": 3}, "optimizer.warmup_steps must be < the 3 steps of training, got 3"),
        ({"compute_type": "float64"}, "compute_type must be float32 or bfloat16, got float64"),
        (
            {"loss": SoftmaxOptions(group_size=5)},
            "loss.group_size must divide batch_size, which is 16, got 5; choose a divisor, or None",
        ),
        ({"seed": -1}, "seed must be in [0, 2**32), got -1"),
    ],
)
def test_a_broken_rule_is_named(change, message):
    with pytest.raises(OptionsError, match=re.escape(message)):
        dataclasses.replace(RECIPE, **change)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Execution(tile_rows=0), "tile_rows must be >= 1 or None, got 0"),
        (lambda: Execution(tile_columns=0), "tile_columns must be >= 1 or None, got 0"),
        (lambda: Execution(log_every_steps=0), "log_every_steps must be >= 1, got 0"),
        (lambda: Execution(micro_batch_size=0), "micro_batch_size must be >= 1 or None, got 0"),
        (
            lambda: Execution(micro_batch_size=17).check_fits(RECIPE),
            "micro_batch_size must be in [1, batch_size], which is 16, or None, got 17",
        ),
        (lambda: SoftmaxOptions(initial_scale=0.0), "loss.initial_scale must be > 0 and finite, got 0.0"),
        (lambda: SoftmaxOptions(initial_scale=float("inf")), "loss.initial_scale must be > 0 and finite, got inf"),
        (lambda: SoftmaxOptions(group_size=1), "loss.group_size must be >= 2 or None, got 1"),
        (lambda: SigmoidOptions(initial_bias=float("nan")), "loss.initial_bias must be finite, got nan"),
        (lambda: ViTTextOptions(width=10, num_heads=3), "text_tower.num_heads must divide the width"),
        (lambda: AdamOptions(kind="sgd"), "optimizer.kind must be 'adam' here, got 'sgd'"),
        (lambda: ImageSideOptions(head_width=0), "image_side.head_width must be in [1, 1000000] or None, got 0"),
    ],
)
def test_options_check_themselves(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"optimizer": {"lr": 1}}, "optimizer.lr is not an option; choose from beta1, beta2"),
        ({"learning_rate": 1}, "learning_rate is not an option"),
        ({"optimizer": {"learning_rate": "fast"}}, "optimizer.learning_rate must be of type float, got 'fast'"),
        ({"optimizer": {"learning_rate": -1}}, "optimizer.learning_rate must be > 0, got -1.0"),
        ({"optimizer": {"kind": "sgd"}}, "optimizer.kind must be one of ['adam', 'adafactor', 'lion'], got 'sgd'"),
        ({"optimizer": {"kind": 1}}, "optimizer.kind must be one of ['adam', 'adafactor', 'lion'], got 1"),
        ({"micro_batch_size": 8}, "micro_batch_size is not an option"),
        ({"batch_size": True}, "batch_size must be of type int, got True"),
        ({"text": []}, "text must be a JSON object, got []"),
        ({"text": {"choice": "best"}}, "text.choice must be one of ['sample', 'join'], got 'best'"),
        ("demo", "options must be a JSON object, got 'demo'"),
    ],
)
def test_json_that_is_not_a_recipe_is_an_error(content, message):
    with pytest.raises(OptionsError, match=re.escape(message)):
        Recipe.from_json(content)


def test_missing_fields_have_their_defaults():
    assert Recipe.from_json({"seed": 3, "optimizer": {"clip_norm": None}}) == Recipe(
        seed=3, optimizer=AdamOptions(clip_norm=None)
    )


def test_counts_steps():
    assert RECIPE.count_steps(1_000) == 24
    by_epochs = dataclasses.replace(RECIPE, num_steps=None, num_epochs=3)
    assert by_epochs.count_steps(7) == 21
    with pytest.raises(OptionsError, match=re.escape("warmup_steps must be < the 3 steps of training, got 3")):
        by_epochs.count_steps(1)


def test_papers_figures():
    """arXiv:2111.07991, appendices A and B."""
    base, cc12m = RECIPES["lit-base"].recipe, RECIPES["cc12m"].recipe
    assert base.batch_size * base.num_steps == pytest.approx(900e6, rel=0.01)
    assert (base.optimizer.learning_rate, base.optimizer.weight_decay, base.optimizer.warmup_steps) == (1e-3, 0, 10_000)
    assert (cc12m.optimizer.learning_rate, cc12m.optimizer.weight_decay) == (1e-3, 1e-4)
    assert cc12m.optimizer.warmup_steps == 2_000
    # "20 epochs, which corresponds to 12k steps with a batch size of 16384": of 200 million pairs.
    assert cc12m.count_steps(10_000_000 // cc12m.batch_size) == pytest.approx(12_000, rel=0.02)
    assert cc12m.optimizer.clip_norm == 1.0
    assert (cc12m.text_tower.width, cc12m.text_tower.depth, cc12m.text.max_tokens) == (768, 12, 16)
