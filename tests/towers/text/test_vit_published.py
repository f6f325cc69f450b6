"""The text ViTs that have names have as many parameters as their authors, or others, count."""

import math

import pytest

from lit_precompute.towers.registry import find_tower
from lit_precompute.towers.text import make_text_tower, resolve_text_tower
from lit_precompute.towers.text.vit.published import ENTRIES
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.towers.vit_sizes import SIZES

# google-research/vision_transformer, vit_jax/models_test.py: both sides and a temperature.
LIT = {"lit-l16s": 331_140_353, "lit-l16ti": 311_913_089}
VIT_L16 = 304_326_632 - 1000 * 1025  # there, too: with a classifier
# embeddings-benchmark/mteb, models/model_implementations/siglip_models.py, counted from the files: both sides, a
# temperature and a bias.
SIGLIP = {
    "google/siglip-base-patch16-224": 203_155_970,
    "google/siglip-large-patch16-256": 652_150_786,
    "google/siglip-large-patch16-384": 652_478_466,
    "google/siglip-so400m-patch14-224": 877_360_306,
    "google/siglip2-base-patch32-256": 376_856_066,
    "google/siglip2-base-patch16-224": 375_187_970,
    "google/siglip2-base-patch16-256": 375_234_050,
    "google/siglip2-base-patch16-384": 375_479_810,
    "google/siglip2-base-patch16-512": 375_823_874,
    "google/siglip2-large-patch16-256": 881_526_786,
    "google/siglip2-large-patch16-384": 881_854_466,
    "google/siglip2-large-patch16-512": 882_313_218,
    "google/siglip2-so400m-patch14-224": 1_135_463_602,
    "google/siglip2-so400m-patch14-384": 1_136_008_498,
    "google/siglip2-so400m-patch16-256": 1_135_670_962,
    "google/siglip2-so400m-patch16-384": 1_136_039_602,
    "google/siglip2-giant-opt-patch16-256": 1_871_393_906,
    # The image side of SigLIP 2's, which has more ids.
    "google/siglip-so400m-patch16-256-i18n": 1_128_758_962,
}
IMAGE_SIDES = {"google/siglip-so400m-patch16-256-i18n": "google/siglip2-so400m-patch16-256"}


def count(name: str, vocabulary_size: int, output_width: int) -> int:
    _, entry = resolve_text_tower(name)
    assert entry is not None
    tower = make_text_tower(
        entry.options,
        vocabulary=Vocabulary(vocabulary_size, 1),
        max_tokens=entry.max_tokens or 16,
        output_width=output_width,
        compute_type="float32",
    )
    return sum(map(math.prod, tower.parameter_shapes.values()))


def count_image_side(name: str) -> tuple[int, int]:
    entry = find_tower(name)
    return sum(map(math.prod, entry.family.parameter_shapes(entry.config).values())), entry.config.output_width


# The others take a second or more: they are larger, or as large.
FAST = ("google/siglip-base-patch16-224", "google/siglip2-base-patch16-224")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in SIGLIP]
)
def test_siglip_has_its_published_parameters(name: str):
    image, width = count_image_side(IMAGE_SIDES.get(name, name))
    assert image + count(name, 32_000, width) + 2 == SIGLIP[name]


@pytest.mark.parametrize("name", LIT)
def test_lit_has_its_published_parameters(name: str):
    assert VIT_L16 + count(name, 16_000, 1024) + 1 == LIT[name]


def test_the_papers_base_size_has_its_parameters():
    assert count("vit-base", 32_000, 768) == 110_234_880


@pytest.mark.parametrize(
    ("name", "size"),
    [("tiny", "ti"), ("small", "s"), ("base", "b"), ("large", "l"), ("huge", "h"), ("giant", "g")],
)
def test_sizes_are_those_of_the_images_vision_transformers(name: str, size: str):
    _, entry = resolve_text_tower(f"vit-{name}")
    assert entry is not None and not entry.weights
    options = entry.options
    assert (options.width, options.depth, options.mlp_width, options.num_heads) == SIZES[size]  # pyright: ignore[reportAttributeAccessIssue]
    assert find_tower(f"vit_{size}{14 if size in 'hg' else 16}").config.output_width == SIZES[size][0]


def test_a_published_tower_says_where_its_files_are():
    for name, entry in ENTRIES.items():
        assert entry.note
        if not name.startswith("vit-"):
            assert entry.weights.startswith(("hf://google/siglip", "https://storage.googleapis.com/vit_models/lit/"))
            assert entry.tokenizer.path is not None and entry.max_tokens in (16, 64)
