"""Fields by path: every scalar field of a recipe, values from text, and recipes that equal those of the flags."""

import dataclasses

import pytest

from lit_precompute.commands.tune.flags import parse
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.fields import parse_value, value_at, with_values
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.recipes import RECIPES

DEMO = RECIPES["demo"].recipe


def leaf_paths(options, prefix=""):
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaf_paths(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


@pytest.mark.parametrize("path", [*leaf_paths(DEMO)])
def test_every_scalar_field_has_a_path(path):
    value = value_at(DEMO, path)
    assert parse_value(DEMO, path, str(value)) == value
    assert with_values(DEMO, {path: value}) == DEMO


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("optimizer.learning_rate", "1e-3", 0.001),
        ("optimizer.clip_norm", "none", None),
        ("batch_size", "16_384", 16384),
        ("image_side.standardise", "False", False),
        ("tokenizer.path", "7", "7"),
        ("text.choice", "join", "join"),
    ],
)
def test_text_is_read_as_the_type_that_a_field_declares(path, text, value):
    found = parse_value(DEMO, path, text)
    assert (found, type(found)) == (value, type(value))
    assert value_at(with_values(DEMO, {path: found}), path) == value


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            "optimizer.learning_rat",
            "1",
            r"optimizer\.learning_rat is not a field .*: optimizer has kind, learning_rate, ",
        ),
        (
            "optimiser.learning_rate",
            "1",
            r"optimiser\.learning_rate is not a field of the recipe: a recipe has data, text, ",
        ),
        ("seed.more", "1", r"seed\.more is not a field of the recipe: seed has no fields"),
        ("optimizer", "adam", r"optimizer is a part of the recipe, not a field: choose from optimizer\.kind, "),
        ("batch_size", "many", r"batch_size must be of type int, got 'many'"),
        ("batch_size", "1e3", r"batch_size must be of type int, got '1e3'"),
        ("image_side.standardise", "1", r"image_side\.standardise must be true or false, got '1'"),
        ("tile_rows", "1", r"tile_rows is not a field of the recipe"),
    ],
)
def test_what_is_no_field_or_no_value_is_refused(path, text, message):
    with pytest.raises(OptionsError, match=message):
        parse_value(DEMO, path, text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer.learning_rate": "fast"}, r"optimizer\.learning_rate must be of type float, got 'fast'"),
        ({"optimizer.learning_rate": -1.0}, r"optimizer\.learning_rate must be > 0, got -1\.0"),
        ({"text.choice": "all"}, r"text\.choice must be one of \['sample', 'join'\], got 'all'"),
        ({"tokenizer.kind": "letters"}, r"tokenizer\.kind must be one of .*, got 'letters'"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused(values, message):
    with pytest.raises(OptionsError, match=message):
        with_values(DEMO, values)


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer.learning_rate": 5e-4, "optimizer.weight_decay": 0.0, "seed": 3},
        {"num_steps": 70},
        {"num_epochs": 3},
        {"tokenizer.kind": "sentencepiece", "tokenizer.vocabulary_size": 900},
        {"text_tower.kind": "bert", "text_tower.depth": 2},
        {"image_side.head_width": 64, "image_side.head.kind": "linear"},
    ],
    ids=repr,
)
def test_a_recipe_with_values_is_that_of_the_flags(values):
    flags = [word for path, value in values.items() for word in ("--" + path.replace("_", "-"), str(value))]
    assert with_values(DEMO, values) == parse(["--dataset", "d", "--output", "o", *flags]).recipe


def test_an_integer_is_a_value_of_a_number():
    made = with_values(Recipe(), {"optimizer.learning_rate": 1})
    assert type(made.optimizer.learning_rate) is float
