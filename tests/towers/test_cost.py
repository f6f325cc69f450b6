"""Operations for one image: against formulas of the networks and against what their authors published."""

import dataclasses

import pytest

from lit_precompute.towers.cost import count_flops
from lit_precompute.towers.registry import find_tower


def count(name, **fields):
    entry = find_tower(name)
    return count_flops(entry.family, dataclasses.replace(entry.config, **fields))


def block_multiply_adds(width, hidden, rows, tokens, matrices=2):
    """Returns those of a block that computes `rows` of its tokens: queries, keys, values, attention, output, MLP."""
    projections = width * width * (2 * rows + 2 * tokens)
    return projections + 2 * rows * tokens * width + matrices * rows * width * hidden


def vit_multiply_adds(name, rows=None):
    """Returns a Vision Transformer's by its sizes; `rows` are those of the last block."""
    config = find_tower(name).config
    tokens = config.grid**2 + config.class_token
    whole = block_multiply_adds(config.width, config.mlp_width, tokens, tokens)
    last = block_multiply_adds(config.width, config.mlp_width, rows or tokens, tokens)
    return config.grid**2 * 3 * config.patch_size**2 * config.width + (config.depth - 1) * whole + last


@pytest.mark.parametrize("name", ["vit_b32", "vit_b16", "vit_l16"])
def test_a_multiply_add_is_two_and_the_rest_of_a_vit_about_one_percent(name):
    ratio = count(name, pooling="average") / (2 * vit_multiply_adds(name))
    assert 1 < ratio < 1.012


def test_what_the_last_block_skips_is_not_counted():
    """A class token's embedding needs one row of the last block."""
    ratio = count("vit_b16") / (2 * vit_multiply_adds("vit_b16", rows=1))
    assert 1 < ratio < 1.012
    assert count("vit_b16") < 0.94 * count("vit_b16", pooling="average")


def test_aimv2_by_its_sizes():
    """Its MLP has three matrices, and all its tokens are pooled."""
    config = find_tower("apple/aimv2-large-patch14-224").config
    blocks = config.depth * block_multiply_adds(config.width, config.mlp_width, 256, 256, matrices=3)
    multiply_adds = blocks + 256 * 3 * 14**2 * config.width
    assert 1 < count("apple/aimv2-large-patch14-224") / (2 * multiply_adds) < 1.012


@pytest.mark.parametrize(
    ("name", "giga_multiply_adds"),
    [
        ("convnext_tiny", 4.5),  # arXiv:2201.03545, table 1, as "FLOPs"
        ("convnext_base", 15.4),
        ("efficientnet-lite0", 0.407),  # tensorflow/tpu, models/official/efficientnet/lite/README.md; with padding
    ],
)
def test_convolutional_networks_by_their_published_multiply_adds(name, giga_multiply_adds):
    assert count(name) == pytest.approx(2e9 * giga_multiply_adds, rel=0.04)


# The paper's text towers there have BERT-base's sizes, by their parameters, and texts of 16 tokens.
TEXT = 2 * 12 * block_multiply_adds(768, 3072, 16, 16)


@pytest.mark.parametrize(
    ("name", "fields", "giga_flops"),
    [("vit_b32", {"pooling": "average"}, 12), ("mixer_b32", {}, 9), ("bit_r50x1", {}, 11)],
)
def test_the_papers_table_4_counts_both_towers_and_two_for_a_multiply_add(name, fields, giga_flops):
    """It counts all of a ViT's last block, as our average of the patches needs it."""
    assert round((count(name, **fields) + TEXT) / 1e9) == giga_flops


def test_neither_the_compute_type_nor_the_weights_matter():
    assert count("vit_ti16", compute_type="bfloat16") == count("vit_ti16")
    assert count("vit_ti16", resolution=448) > 4 * count("vit_ti16")
