"""Every Vision Transformer that has a name has as many parameters as its authors, or others, count.

Three tables, each a line a network with the towers that are it: exact counts that are published; counts that are
published to 0.01 million; and the parameter lists of transformers' files (tests/golden/towers/file_names.json), grown
to the sizes that the models' config.json state, which is exact, too. A tower without a line fails.
"""

import dataclasses
import json
import math
import re

import pytest

from lit_precompute.towers.image import vit
from lit_precompute.towers.registry import find_tower, tower_names
from tests.oracles.hugging_face import FILE_NAMES

# google-research/vision_transformer, vit_jax/models_test.py: with a classifier of 1,000, which we take off.
TI16, S32, S16 = 5_717_416 - 1000 * 193, 22_878_952 - 1000 * 385, 22_050_664 - 1000 * 385
B32, B16, B8 = 88_224_232 - 1000 * 769, 86_567_656 - 1000 * 769, 86_576_872 - 1000 * 769
L32, L16, H14 = 306_535_400 - 1000 * 1025, 304_326_632 - 1000 * 1025, 632_045_800 - 1000 * 1281
EXACT = [
    (TI16, "vit_ti16 vit_ti16-augreg_in21k"),
    (S32, "vit_s32 vit_s32-augreg_in21k"),
    (S16, "vit_s16 vit_s16-augreg_in21k mocov3_vits16"),
    (B32, "vit_b32 vit_b32-augreg_in21k"),
    (B16, "vit_b16 vit_b16-augreg_in21k mocov3_vitb16 lit-b16b_2"),
    (B8, "vit_b8 vit_b8-augreg_in21k"),
    (L32, "vit_l32"),
    (L16, "vit_l16 vit_l16-augreg_in21k lit-l16l"),
    (H14, "vit_h14"),
    # There, too: LiT-B16B and B16B_2, whose image side has no linear head; the others are the same.
    (B16 + 195_871_489 - 195_280_897, "lit-b16b"),
    # With the dense layer in front of the classifier of 21,843 classes.
    (B32 + 768 * 769, "vit_b32-in21k"),
    (B16 + 768 * 769, "vit_b16-in21k"),
    (L32 + 1024 * 1025, "vit_l32-in21k"),
    (L16 + 1024 * 1025, "vit_l16-in21k"),
    (H14 + 1280 * 1281, "vit_h14-in21k"),
]

# timm's tables of speed (results/benchmark-infer-*.csv): millions, at which side, and the towers. Those of CLIP and
# SigLIP are in open_clip's docs/model_profile.csv, too.
ROUNDED = [
    (1012.61 - 1.409, 224, "vit_g14"),  # with a classifier of 1,000
    (1844.44 - 1.665, 224, "vit_G14"),  # likewise
    (412.44, 224, "vit_so400m14"),  # its vit_so400m_patch14_siglip_gap_224: without a class token's 1,152
    (21.67, 224, "dino_vits8 facebook/dino-vits8"),
    (22.06, 518, "facebook/dinov2-small facebook/dinov2-with-registers-small"),
    (86.58, 518, "facebook/dinov2-base facebook/dinov2-with-registers-base"),
    (304.37, 518, "facebook/dinov2-large facebook/dinov2-with-registers-large"),
    (1136.48, 518, "facebook/dinov2-giant"),
    (1136.48 + 0.001536, 518, "facebook/dinov2-with-registers-giant"),  # timm adds the class token's position to it
    (92.88, 224, "google/siglip-base-patch16-224 google/siglip2-base-patch16-224"),
    (92.93, 256, "google/siglip-base-patch16-256 google/siglip2-base-patch16-256"),
    (93.18, 384, "google/siglip-base-patch16-384 google/siglip2-base-patch16-384"),
    (93.52, 512, "google/siglip-base-patch16-512 google/siglip2-base-patch16-512"),
    (94.55, 256, "google/siglip2-base-patch32-256"),
    (315.96, 256, "google/siglip-large-patch16-256 google/siglip2-large-patch16-256"),
    (316.28, 384, "google/siglip-large-patch16-384 google/siglip2-large-patch16-384"),
    (316.74, 512, "google/siglip2-large-patch16-512"),
    (427.68, 224, "google/siglip-so400m-patch14-224 google/siglip2-so400m-patch14-224"),
    (428.23, 384, "google/siglip-so400m-patch14-384 google/siglip2-so400m-patch14-384"),
    (427.89, 256, "google/siglip2-so400m-patch16-256"),
    (428.26, 384, "google/siglip2-so400m-patch16-384"),
    (428.77, 512, "google/siglip2-so400m-patch16-512"),
    (1163.17, 256, "google/siglip2-giant-opt-patch16-256"),
    (1163.66, 384, "google/siglip2-giant-opt-patch16-384"),
    (87.85, 224, "openai/clip-vit-base-patch32 laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    (86.19, 224, "openai/clip-vit-base-patch16 laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
    (303.97, 224, "openai/clip-vit-large-patch14 laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    (304.29, 336, "openai/clip-vit-large-patch14-336"),
    (632.08, 224, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
    (1012.65, 224, "laion/CLIP-ViT-g-14-laion2B-s12B-b42K"),
    (1844.91, 224, "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"),
]

# The file it is a large one of, width, depth, width of the MLP, patch, side, projection, and the towers.
GROWN = [
    ("dino", 384, 12, 1536, 16, 224, 0, "dino_vits16 facebook/dino-vits16"),
    ("dino", 384, 12, 1536, 8, 224, 0, "dino_vits8 facebook/dino-vits8"),
    ("dino", 768, 12, 3072, 16, 224, 0, "dino_vitb16 facebook/dino-vitb16"),
    ("dino", 768, 12, 3072, 8, 224, 0, "dino_vitb8 facebook/dino-vitb8"),
    ("dino", 768, 12, 3072, 16, 224, 0, "google/vit-base-patch16-224 google/vit-base-patch16-224-in21k"),
    ("dino", 768, 12, 3072, 32, 224, 0, "google/vit-base-patch32-224-in21k"),
    ("dino", 1024, 24, 4096, 16, 224, 0, "google/vit-large-patch16-224 google/vit-large-patch16-224-in21k"),
    ("dino", 1024, 24, 4096, 32, 224, 0, "google/vit-large-patch32-224-in21k"),
    ("dino", 1280, 32, 5120, 14, 224, 0, "google/vit-huge-patch14-224-in21k"),
    ("dinov2", 384, 12, 1536, 14, 518, 0, "facebook/dinov2-small"),
    ("dinov2", 768, 12, 3072, 14, 518, 0, "facebook/dinov2-base"),
    ("dinov2", 1024, 24, 4096, 14, 518, 0, "facebook/dinov2-large"),
    ("dinov2-swiglu", 1536, 40, 4096, 14, 518, 0, "facebook/dinov2-giant"),
    ("dinov2-registers", 384, 12, 1536, 14, 518, 0, "facebook/dinov2-with-registers-small"),
    ("dinov2-registers", 768, 12, 3072, 14, 518, 0, "facebook/dinov2-with-registers-base"),
    ("dinov2-registers", 1024, 24, 4096, 14, 518, 0, "facebook/dinov2-with-registers-large"),
    *(
        ("siglip", 768, 12, 3072, 16, side, 0, f"google/siglip-base-patch16-{side} google/siglip2-base-patch16-{side}")
        for side in (224, 256, 384, 512)
    ),
    ("siglip", 768, 12, 3072, 32, 256, 0, "google/siglip2-base-patch32-256"),
    ("siglip", 1024, 24, 4096, 16, 256, 0, "google/siglip-large-patch16-256 google/siglip2-large-patch16-256"),
    ("siglip", 1024, 24, 4096, 16, 384, 0, "google/siglip-large-patch16-384 google/siglip2-large-patch16-384"),
    ("siglip", 1024, 24, 4096, 16, 512, 0, "google/siglip2-large-patch16-512"),
    ("siglip", 1152, 27, 4304, 14, 224, 0, "google/siglip-so400m-patch14-224 google/siglip2-so400m-patch14-224"),
    ("siglip", 1152, 27, 4304, 14, 384, 0, "google/siglip-so400m-patch14-384 google/siglip2-so400m-patch14-384"),
    *(("siglip", 1152, 27, 4304, 16, side, 0, f"google/siglip2-so400m-patch16-{side}") for side in (256, 384, 512)),
    *(("siglip", 1536, 40, 6144, 16, side, 0, f"google/siglip2-giant-opt-patch16-{side}") for side in (256, 384)),
    ("clip", 768, 12, 3072, 32, 224, 512, "openai/clip-vit-base-patch32 laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    ("clip", 768, 12, 3072, 16, 224, 512, "openai/clip-vit-base-patch16 laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
    ("clip", 1024, 24, 4096, 14, 224, 768, "openai/clip-vit-large-patch14 laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    ("clip", 1024, 24, 4096, 14, 336, 768, "openai/clip-vit-large-patch14-336"),
    ("clip", 1280, 32, 5120, 14, 224, 1024, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
    ("clip", 1408, 40, 6144, 14, 224, 1024, "laion/CLIP-ViT-g-14-laion2B-s12B-b42K"),
    ("clip", 1664, 48, 8192, 14, 224, 1280, "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"),
]


LISTED = {name for table in (EXACT, ROUNDED, GROWN) for line in table for name in line[-1].split()}


def _count(name, side=None):
    """Returns how many parameters our tower has, with positions for images of `side` pixels."""
    entry = find_tower(name)
    config = entry.config if side is None else dataclasses.replace(entry.config, resolution=side)
    return sum(map(math.prod, entry.family.parameter_shapes(config).values()))


def _grown(file, width, depth, hidden, patch, side, projection):
    """Returns how many numbers the small file would hold at these sizes, without what embeds no image."""
    left_out = re.compile(r"text_.*|logit_.*|.*mask_token|pooler\..*|.*position_ids|.*layers?\.[^0]\d*\..*")
    # The small files' lengths, which mean nothing else in them; 288 is for query, key and value.
    grown = {96: width, 288: 3 * width, 384: hidden, 256: hidden, 512: 2 * hidden, 14: patch, 16: patch, 48: projection}
    total = 0
    for name, shape in json.loads(FILE_NAMES.read_text(encoding="utf-8"))[file].items():
        if left_out.fullmatch(name):
            continue
        lengths = [grown.get(length, length) for length in shape]
        if "position_embedding" in name:
            num_tokens = shape[-2]
            lengths[-2] = (side // patch) ** 2 + num_tokens - math.isqrt(num_tokens) ** 2  # one more: a class token
        total += math.prod(lengths) * (depth if re.search(r"layers?\.0\.", name) else 1)
    return total


@pytest.mark.parametrize(("published", "names"), EXACT)
def test_exact_counts(published, names):
    assert {name: _count(name) for name in names.split()} == dict.fromkeys(names.split(), published)


@pytest.mark.parametrize(("millions", "side", "names"), ROUNDED)
def test_rounded_counts(millions, side, names):
    for name in names.split():
        assert abs(_count(name, side) / 1e6 - millions) <= 0.00501, name


@pytest.mark.parametrize("line", GROWN, ids=lambda line: line[-1].split()[0])
def test_counts_of_the_files_that_transformers_names(line):
    *sizes, names = line
    side = sizes[-2]
    assert {name: _count(name, side) for name in names.split()} == dict.fromkeys(names.split(), _grown(*sizes))


def _copied(timm_name):
    """Returns which tower's weights one of timm's names has in timm's layout, and its side."""
    size, patch, siglip, side, tag = re.fullmatch(
        r"timm/vit_(\w+)_patch(\d+)_(siglip_)?(\d+)\.(\w+)", timm_name
    ).groups()
    if siglip:
        return f"google/siglip{'2' if tag.startswith('v2') else ''}-{size}-patch{patch}-{side}", int(side)
    short = {"tiny": "ti", "small": "s", "base": "b", "large": "l"}[size]
    return f"{'dino_vit' if tag == 'dino' else 'vit_'}{short}{patch}", int(side)


TIMMS = [name for name in tower_names() if name.startswith("timm/vit_") and find_tower(name).family is vit.FAMILY]


@pytest.mark.parametrize("name", TIMMS)
def test_timms_copies_have_as_many_as_what_they_copy(name):
    original, side = _copied(name)
    assert _count(name) == _count(original, side)
    assert original in LISTED


def test_every_vision_transformer_has_a_line():
    registered = {name for name in tower_names() if find_tower(name).family is vit.FAMILY}
    assert {name for name in registered if not name.startswith(("test-", "timm/vit_"))} == LISTED
