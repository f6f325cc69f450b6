"""The Vision Transformers that have names in timm, with its files and its preprocessing.

These are not other names for `published`'s towers: timm uses other files of the AugReg paper for S/32, B/32, B/8 and
L/16, resizes to 224 / 0.9 and crops where big_vision squeezes, and computes GELU exactly. `timm/` may be left out.

Source: github.com/huggingface/pytorch-image-models, timm/models/vision_transformer.py (default_cfgs) and data/
transforms_factory.py; accuracies of classifiers from its results/results-imagenet.csv (2026-08). Not here: its DINOv2
(the same weights are `facebook/dinov2-*`) and models of other shapes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.vit import FAMILY, published, published_contrastive
from lit_precompute.towers.image.vit.published import cropped, hugging_face, variant
from lit_precompute.towers.preprocessing import IMAGENET_RANGE, Scale, ValueRange

_SIZES = {"tiny": "ti", "small": "s", "base": "b", "large": "l", "so400m": "so400m"}
# Resolution / 0.9, rounded down; some models of 384 pixels see the whole short side.
_CROPS = {224: 248, 256: 284, 384: 426, 512: 568}

_AUGREG = (("tiny", 16), ("small", 32), ("small", 16), ("base", 32), ("base", 16), ("base", 8), ("large", 16))
_AUGREG_2 = (("base", 16), ("base", 8))
# The first ViTs; the release file's name ends with the first digits of its hash: (size, patch, resolution, short side)
_ORIGINAL = {
    "jx_vit_base_p16_224-80ecf9dd": ("base", 16, 224, 248),
    "jx_vit_base_p16_384-83fb41ba": ("base", 16, 384, 384),
    "jx_vit_large_p32_384-9b920ba8": ("large", 32, 384, 384),
}
_RELEASE = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx"
_DINO = (("small", 16), ("small", 8), ("base", 16), ("base", 8))
# (size, patch, resolution) of both generations of SigLIP
_SIGLIP = (
    ("base", 16, 224),
    ("base", 16, 256),
    ("base", 16, 384),
    ("base", 16, 512),
    ("large", 16, 256),
    ("large", 16, 384),
    ("so400m", 14, 224),
)
# What timm measured, in per cent of ImageNet.
_MEASURED = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": 75.45,
    "vit_small_patch32_224.augreg_in21k_ft_in1k": 76.01,
    "vit_small_patch16_224.augreg_in21k_ft_in1k": 81.40,
    "vit_base_patch32_224.augreg_in21k_ft_in1k": 80.73,
    "vit_base_patch16_224.augreg_in21k_ft_in1k": 84.53,
    "vit_base_patch8_224.augreg_in21k_ft_in1k": 85.84,
    "vit_large_patch16_224.augreg_in21k_ft_in1k": 85.86,
    "vit_base_patch16_224.augreg2_in21k_ft_in1k": 85.11,
    "vit_base_patch8_224.augreg2_in21k_ft_in1k": 86.25,
    "vit_tiny_patch16_384.augreg_in21k_ft_in1k": 78.44,
    "vit_small_patch32_384.augreg_in21k_ft_in1k": 80.48,
    "vit_small_patch16_384.augreg_in21k_ft_in1k": 83.81,
    "vit_base_patch32_384.augreg_in21k_ft_in1k": 83.36,
    "vit_base_patch16_384.augreg_in21k_ft_in1k": 86.01,
    "vit_large_patch16_384.augreg_in21k_ft_in1k": 87.10,
    "vit_base_patch16_224.orig_in21k_ft_in1k": 81.78,
    "vit_base_patch16_384.orig_in21k_ft_in1k": 84.21,
    "vit_large_patch32_384.orig_in21k_ft_in1k": 81.51,
}


def _entry(
    name: str, size: str, patch: int, side: int, short_side: int, values: ValueRange, **fields: Any
) -> dict[str, Entry]:
    common: dict[str, Any] = {"activation": "exact", "position_resize": "bicubic_antialias", **fields}
    entry = Entry(
        family=FAMILY,
        config=variant(_SIZES[size], patch, resolution=side, **common),
        preprocessing=cropped(side, short_side, values),
        weights=hugging_face(f"timm/{name}"),
        accuracy=_accuracy(name, size, patch, side),
    )
    return {f"timm/{name}": entry}


def _accuracy(name: str, size: str, patch: int, side: int) -> str:
    """Returns timm's measurement, or the accuracy of the tower with the same weights."""
    if name in _MEASURED:
        return f"{_MEASURED[name]:.2f}% ImageNet, measured by timm"
    if name.endswith(".dino"):
        return published.ENTRIES[f"dino_vit{_SIZES[size]}{patch}"].accuracy
    generation = {"webli": "siglip", "v2_webli": "siglip2"}.get(name.partition(".")[2])
    return (
        published_contrastive.ENTRIES[f"google/{generation}-{size}-patch{patch}-{side}"].accuracy if generation else ""
    )


def _entries() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    families = (
        ("augreg_in21k", _AUGREG, Scale()),
        ("augreg_in21k_ft_in1k", _AUGREG, Scale()),
        ("augreg2_in21k_ft_in1k", _AUGREG_2, Scale()),
        ("dino", _DINO, IMAGENET_RANGE),
    )
    for ending, sizes, values in families:
        for size, patch in sizes:
            name = f"vit_{size}_patch{patch}_224.{ending}"
            entries |= _entry(name, size, patch, 224, _CROPS[224], values)
    for size, patch in _AUGREG:
        if patch != 8:
            name = f"vit_{size}_patch{patch}_384.augreg_in21k_ft_in1k"
            entries |= _entry(name, size, patch, 384, 384, Scale())
    for file, (size, patch, side, short_side) in _ORIGINAL.items():
        made = _entry(f"vit_{size}_patch{patch}_{side}.orig_in21k_ft_in1k", size, patch, side, short_side, Scale())
        place, sha256 = f"{_RELEASE}/{file}.pth", file.rpartition("-")[2]
        entries |= {
            name: dataclasses.replace(entry, weights=place, weights_sha256=sha256) for name, entry in made.items()
        }
    siglip: dict[str, Any] = {"pooling": "map", "class_token": False}
    for size, patch, side in _SIGLIP:
        for ending in ("webli", "v2_webli"):
            name = f"vit_{size}_patch{patch}_siglip_{side}.{ending}"
            entries |= _entry(name, size, patch, side, _CROPS[side], Scale(), **siglip)
    return entries


ENTRIES = _entries()
ALIASES = {name.removeprefix("timm/"): name for name in ENTRIES}
