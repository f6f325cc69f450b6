"""Towers' names: those that people know lead to one tower each, those that are nearly one are said."""

import pytest

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.vit import FAMILY
from lit_precompute.towers.registry import find_tower, register, register_alias, resolve_tower


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("google/vit-base-patch16-224", "google/vit-base-patch16-224"),
        ("hf://google/vit-base-patch16-224", "google/vit-base-patch16-224"),
        ("https://huggingface.co/google/vit-base-patch16-224/", "google/vit-base-patch16-224"),
        ("hf-hub:laion/CLIP-ViT-B-16-laion2B-s34B-b88K", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
        ("ViT-B-16/laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
        ("ViT-B-32/openai", "openai/clip-vit-base-patch32"),
        ("vit_b16-augreg_in21k", "vit_b16-augreg_in21k"),
        ("howto-i21k-B/16", "vit_b16-augreg_in21k"),
        ("timm/vit_base_patch16_224.augreg_in21k", "timm/vit_base_patch16_224.augreg_in21k"),
        ("vit_base_patch16_224.augreg_in21k", "timm/vit_base_patch16_224.augreg_in21k"),
        ("hf_hub:timm/vit_small_patch8_224.dino", "timm/vit_small_patch8_224.dino"),
        ("vit_so400m_patch14_siglip_224.webli", "timm/vit_so400m_patch14_siglip_224.webli"),
    ],
)
def test_names_that_people_know(name, expected):
    assert resolve_tower(name) == (expected, find_tower(expected))


@pytest.mark.parametrize("taken", ["vit_b16", "ViT-B-32/openai"])
def test_no_name_leads_to_two_towers(taken):
    with pytest.raises(ValueError, match=f"'{taken}' is already registered"):
        register(taken, find_tower("vit_b16"))
    with pytest.raises(ValueError, match=f"'{taken}' is already registered"):
        register_alias(taken, "vit_l16")


def test_an_alias_needs_its_tower():
    with pytest.raises(ValueError, match="there is no tower 'none'; register it first"):
        register_alias("new", "none")
    with pytest.raises(ValueError, match="unknown tower 'new'"):
        resolve_tower("new")


@pytest.mark.parametrize(
    ("name", "near"),
    [("google/vit-base-patch16-225", "google/vit-base-patch16-224"), ("ViT-B-16/openia", "ViT-B-16/openai")],
)
def test_a_name_that_is_nearly_one(name, near):
    with pytest.raises(ValueError, match=f"did you mean one of .*{near}"):
        resolve_tower(name)


@pytest.mark.parametrize("digits", ["abc", "x" * 64, "A" * 8, "0" * 65])
def test_a_hash_that_is_none(digits):
    entry = find_tower("vit_b16")
    with pytest.raises(ValueError, match="8 to 64 hexadecimal digits"):
        Entry(family=FAMILY, config=entry.config, preprocessing=entry.preprocessing, weights_sha256=digits)


def test_a_module_in_place_of_a_tower_is_told_how_to_name_one():
    with pytest.raises(
        ValueError, match=r"unknown tower '_______'; `lit-embed towers` lists them; one of your own is named"
    ):
        resolve_tower("_______")
    with pytest.raises(ValueError, match=r"tower my_towers\.py:mine: No module named .*; write my_towers:mine$"):
        resolve_tower("my_towers.py:mine")
