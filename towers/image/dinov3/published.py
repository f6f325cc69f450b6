"""The models of DINOv3 that have names, Vision Transformers and ConvNeXts, with their weights' places.

Names: the repository's, of Hugging Face and of timm. timm's copies leave out the biases of queries and values, which
are zero in the published weights; "qkvb" has them. The authors' own files are not at public addresses: they are read
with `--weights FILE`. The pooling is what each publisher's model gives: the class token, or timm's average of patches.

Hugging Face's copies resize floats, as the transform did by which they were compared with the authors' outputs; the
authors' README resizes uint8 with torchvision, to 256 pixels. timm's resize with Pillow.

Source: the model card of facebookresearch/dinov3 and its dinov3/hub/backbones.py (sizes, mean and deviation);
DINOv3ViTImageProcessor of transformers; the pretrained configurations of timm/models/{eva,convnext}.py. Accuracies are
the authors'.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry, Family, TowerConfig
from lit_precompute.towers.image import convnext
from lit_precompute.towers.image.convnext.published import variant as convnext_variant
from lit_precompute.towers.image.dinov3 import FAMILY
from lit_precompute.towers.image.dinov3.config import DINOv3Config
from lit_precompute.towers.image.vit.published import hugging_face, squeezed, torchvisions
from lit_precompute.towers.preprocessing import IMAGENET_RANGE, Preprocessing, Standardise, ValueRange

_NO_BIAS = {"query_bias": False, "value_bias": False}
_GATED = {"gated_mlp": True}
# size: (width, depth, width of the MLP, heads, others)
SIZES: dict[str, tuple[int, int, int, int, dict[str, bool]]] = {
    "vits16": (384, 12, 1536, 6, {}),
    "vits16plus": (384, 12, 1536, 6, _GATED),
    "vitb16": (768, 12, 3072, 12, {}),
    "vitl16": (1024, 24, 4096, 16, {}),
    "vith16plus": (1280, 32, 5120, 20, _GATED),
    "vit7b16": (4096, 40, 8192, 32, _GATED | _NO_BIAS),
}
_TIMM_SIZES = {"small": "vits16", "small_plus": "vits16plus", "base": "vitb16", "large": "vitl16"} | {
    "huge_plus": "vith16plus",
    "7b": "vit7b16",
}
# Its weights are several files, which an index lists.
_SHARDED = "vit7b16"
# By size: ImageNet's cleaned-up labels, with a linear probe (ConvNeXts at 256 pixels).
_REAL = {"vits16": 87.0, "vits16plus": 88.0, "vitb16": 89.3, "vitl16": 90.2, "vith16plus": 90.3, "vit7b16": 90.4} | {
    "convnext-tiny": 86.6,
    "convnext-small": 87.9,
    "convnext-base": 88.5,
    "convnext-large": 88.9,
}
_GEO_BENCH = {"vitl16": 79.6, "vit7b16": 81.1}
# Of satellite images, of values 0..1.
SATELLITE_RANGE = Standardise.of_unit_range((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
_RANGES = {"lvd1689m": IMAGENET_RANGE, "sat493m": SATELLITE_RANGE}


def variant(size: str, *, resolution: int = 224, **fields: Any) -> DINOv3Config:
    """Returns the configuration of one of `SIZES`; other fields as `DINOv3Config` has them."""
    width, depth, mlp_width, num_heads, others = SIZES[size]
    sizes: dict[str, Any] = {"width": width, "depth": depth, "mlp_width": mlp_width, "num_heads": num_heads}
    given: dict[str, Any] = {**sizes, **others, **fields}
    return DINOv3Config(resolution=resolution, **given)


def _preprocessing(size: int, values: ValueRange) -> Preprocessing:
    """Returns the preprocessing of DINOv3ViTImageProcessor: the whole image to a square, resized as floats."""
    return dataclasses.replace(squeezed(size), resampler="torch", value_range=values)


def _entry(
    family: Family[Any], name: str, config: TowerConfig, preprocessing: Preprocessing, accuracy: str
) -> dict[str, Entry]:
    place = f"hf://{name}" if name.startswith("facebook/") and _SHARDED in name else hugging_face(name)
    entry = Entry(family=family, config=config, preprocessing=preprocessing, weights=place, accuracy=accuracy)
    return {name: entry}


def _accuracy(size: str, data: str) -> str:
    if data == "sat493m":
        return f"{_GEO_BENCH[size]}% mean of GEO-Bench's six classification tasks"
    side = " at 256 pixels" if size.startswith("convnext") else ""
    return f"{_REAL[size]}% ImageNet-ReaL, linear probe{side}"


def _vision_transformers() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for data, values in _RANGES.items():
        for size in SIZES if data == "lvd1689m" else _GEO_BENCH:
            name = f"facebook/dinov3-{size}-pretrain-{data}"
            entries |= _entry(FAMILY, name, variant(size), _preprocessing(224, values), _accuracy(size, data))
        for words, size in _TIMM_SIZES.items():
            if data == "sat493m" and size not in _GEO_BENCH:
                continue
            preprocessing, accuracy = torchvisions(256, 256, values), _accuracy(size, data)
            config = variant(size, resolution=256, pooling="average", **_NO_BIAS)
            name = f"timm/vit_{words}_patch16_dinov3"
            entries |= _entry(FAMILY, f"{name}.{data}", config, preprocessing, accuracy)
            if size != "vit7b16":
                config = variant(size, resolution=256, pooling="average")
                entries |= _entry(FAMILY, f"{name}_qkvb.{data}", config, preprocessing, accuracy)
    return entries


def _convnexts() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size in ("tiny", "small", "base", "large"):
        config, accuracy = convnext_variant(f"convnext_{size}"), _accuracy(f"convnext-{size}", "lvd1689m")
        name = f"facebook/dinov3-convnext-{size}-pretrain-lvd1689m"
        entries |= _entry(convnext.FAMILY, name, config, _preprocessing(224, IMAGENET_RANGE), accuracy)
        name = f"timm/convnext_{size}.dinov3_lvd1689m"
        entries |= _entry(convnext.FAMILY, name, config, torchvisions(224, 224, IMAGENET_RANGE), accuracy)
    return entries


ENTRIES = {**_vision_transformers(), **_convnexts()}
ALIASES = {name.removeprefix("timm/"): name for name in ENTRIES if name.startswith("timm/")}
