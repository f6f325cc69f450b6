"""Recipes in files: what is written is read back, and what is wrong with a file is one message."""

import dataclasses
import json
import re
import tomllib

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import ViTTextOptions
from lit_precompute.tune.recipes import RECIPES, read_recipe, recipe_from, write_recipe


@pytest.mark.parametrize("ending", ["toml", "json"])
@pytest.mark.parametrize(
    "name", ["demo", "cc12m", "tab5-yfcc-LU-vit-b32-mt5-base-sp", "fig1-clip-LU-vit-b32-bert-base-wp"]
)
def test_a_recipe_is_read_back(tmp_path, name, ending):
    named = RECIPES[name]
    write_recipe(named, tmp_path / f"mine.{ending}")
    found = recipe_from(str(tmp_path / f"mine.{ending}"))
    assert (found.recipe, found.execution, found.purpose) == (named.recipe, named.execution, named.purpose)
    assert found.name == str(tmp_path / f"mine.{ending}")


@pytest.mark.parametrize("text", ['"quoted" \\ back', "line\nbreak", "tab\t", "größe ✓ 🙂", "\x7f\x01", "# no comment"])
def test_any_text_is_read_back(tmp_path, text):
    demo = RECIPES["demo"]
    recipe = dataclasses.replace(demo.recipe, text=dataclasses.replace(demo.recipe.text, separator=text))
    write_recipe(dataclasses.replace(demo, recipe=recipe), tmp_path / "mine.toml")
    assert read_recipe(tmp_path / "mine.toml").recipe == recipe


def test_toml_has_a_comment_with_meaning_and_source_at_each_value(tmp_path):
    write_recipe(RECIPES["fig1-clip-LU-vit-b32-bert-base-wp"], tmp_path / "mine.toml")
    said = (tmp_path / "mine.toml").read_text(encoding="utf-8")
    assert re.search(r"# pairs per step; each image is contrasted .*\[appendix B\]\nbatch_size = 16384\n", said)
    assert "# at the schedule's peak. [Table 10]\nlearning_rate = 0.0008\n" in said
    assert 'num_epochs = "None"\n' in said
    values = tomllib.loads(said)
    assert values["recipe"]["text_tower"]["width"] == 768
    lines = said.splitlines()
    for line, before in zip(lines[3:], lines[2:], strict=False):
        assert " = " not in line or line.startswith("#") or before.startswith("#"), line


def test_what_a_file_leaves_out_has_its_default(tmp_path):
    (tmp_path / "mine.toml").write_text("[recipe.text_tower]\nwidth = 96\n")
    found = read_recipe(tmp_path / "mine.toml").recipe
    assert found.text_tower == ViTTextOptions(width=96)
    assert found == dataclasses.replace(type(found)(), text_tower=ViTTextOptions(width=96))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.toml", "[recipe]\nbatch = 3\n", "batch is not an option; choose from batch_size"),
        ("a.toml", "[recipe]\nbatch_size = 1\n", "batch_size must be >= 2, got 1"),
        ("a.toml", "[recipe]\nbatch_size = 1.5\n", "batch_size must be of type int, got 1.5"),
        (
            "a.toml",
            "[recipe]\ncompute_type = 'None'\n",
            "compute_type must be one of ['float32', 'bfloat16'], got None",
        ),
        ("a.toml", "[recipes]\n", "recipes is not a part of a recipe's file; choose from purpose, source, recipe"),
        ("a.toml", "purpose = 'x'\n", "the part 'recipe' is missing; `lit-tune recipes new` writes such a file"),
        ("a.toml", "recipe = \n", "not TOML: Invalid value"),
        ("a.toml", b"\xff\xfe", "not TOML: 'utf-8' codec can't decode"),
        ("a.json", "{", "not JSON: Expecting property name"),
        ("a.json", '{"recipe": {"seed": 1, "seed": 2}}', "not JSON: 'seed' is given twice"),
        ("a.json", "[]", "must hold the parts purpose, source, recipe, execution, got []"),
        ("a.json", '{"recipe": {}, "execution": {"tile_rows": 0}}', "tile_rows must be >= 1 or None, got 0"),
        (
            "a.json",
            '{"recipe": {"batch_size": 4}, "execution": {"micro_batch_size": 5}}',
            "micro_batch_size must be in [1, batch_size], which is 4, or None, got 5",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_message_that_names_it(tmp_path, file, content, message):
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OptionsError, match=re.escape(f"{path}: {message}")):
        read_recipe(path)


@pytest.mark.parametrize("file", ["a.toml", "a.json"])
def test_steps_in_a_file_replace_the_epochs_that_nobody_gave(tmp_path, file):
    content = "\ufeff[recipe]\nnum_steps = 7\n" if file == "a.toml" else '{"recipe": {"num_steps": 7}}'
    (tmp_path / file).write_text(content, encoding="utf-8")
    recipe = read_recipe(tmp_path / file).recipe
    assert (recipe.num_steps, recipe.num_epochs) == (7, None)


def test_a_file_is_not_written_over(tmp_path):
    (tmp_path / "mine.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"mine\.json exists already; choose another name, or remove it"):
        write_recipe(RECIPES["demo"], tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_text() == "mine"
    with pytest.raises(OptionsError, match=r"the name of a recipe's file must end in \.toml or \.json"):
        write_recipe(RECIPES["demo"], tmp_path / "mine.yaml")


def test_json_has_every_value(tmp_path):
    write_recipe(RECIPES["demo"], tmp_path / "mine.json")
    content = json.loads((tmp_path / "mine.json").read_text())
    assert content["recipe"] == RECIPES["demo"].recipe.to_json()
    assert content["execution"] == dataclasses.asdict(RECIPES["demo"].execution)
