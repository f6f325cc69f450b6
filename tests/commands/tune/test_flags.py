"""The flags of parts within parts: heads come in kinds, on both sides."""

import pytest

from lit_precompute.commands.tune.flags import parse
from lit_precompute.towers.heads import GatedHeadOptions, LinearHeadOptions, ResidualHeadOptions
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.options import ImageSideOptions

PLACES = ["--dataset", "d", "--output", "o"]


def test_a_part_within_a_part_has_kinds_and_their_flags():
    arguments = "--image-side.head.kind residual --image-side.head.dropout 0.2 --image-side.head-width 8"
    recipe = parse([*PLACES, *arguments.split()]).recipe
    head = ResidualHeadOptions(dropout=0.2)
    assert recipe.image_side == ImageSideOptions(standardise=True, head_width=8, head=head)
    assert type(recipe) is Recipe and type(recipe.image_side) is ImageSideOptions
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_part_of_a_chosen_kind_has_kinds_too():
    arguments = "--text-tower.kind stored --text-tower.table text-embeddings-x --text-tower.head.kind=gated"
    recipe = parse([*PLACES, *arguments.split(), "--setting", "LL"]).recipe
    assert recipe.text_tower == StoredTextOptions(table="text-embeddings-x", head=GatedHeadOptions())
    assert recipe.setting == "LL"
    assert recipe.image_side.head == LinearHeadOptions()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--image-side.head.kind fusemix", r"head.kind must be one of \['linear', .*'gated'\], got 'fusemix'"),
        (
            "--text-tower.kind stored --text-tower.weights x.npz",
            "text_tower.weights must be None where text_tower.kind is stored",
        ),
        ("--text-tower.kind stored --setting LU", "setting must be LL"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises((OptionsError, SystemExit), match=words):
        parse([*PLACES, *arguments.split()])


def test_recipes_written_before_there_were_kinds_of_heads_are_read():
    old = Recipe().to_json()
    old["image_side"] = {"standardise": False, "head_width": 512}
    assert Recipe.from_json(old).image_side == ImageSideOptions(head_width=512, head=LinearHeadOptions())
