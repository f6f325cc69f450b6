"""The ConvNeXts that have names: bare architectures, and published models with their weights' places.

Names: `convnext_base-22k_1k_384` for the authors' file `convnext_base_22k_1k_384`, the repository's name for models of
Hugging Face and timm. "22k" is pre-training on ImageNet-22k only, "22k_1k" (Hugging Face: "22k-1k", for V2: "22k") is
followed by fine-tuning on ImageNet. Accuracies are the authors', who evaluate at the resolution of the name.

All three publishers preprocess alike: below 384 pixels the short side becomes 8/7 of the resolution and the middle is
cropped, from 384 on the image is squeezed to a square; bicubic, with Pillow.

Source: the README of both repositories; ConvNextImageProcessor of transformers and its conversion scripts, which list
the models; the pretrained configurations of timm/models/convnext.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.convnext import FAMILY
from lit_precompute.towers.image.convnext.config import ConvNeXtConfig
from lit_precompute.towers.preprocessing import IMAGENET_RANGE, Preprocessing

_META = "https://dl.fbaipublicfiles.com/convnext"
_WITHOUT_CROP = 384
_HUGGING_FACE_EPSILON = 1e-12

# name: (width of the first stage, which doubles in each, depths)
SIZES = {
    "convnext_tiny": (96, (3, 3, 9, 3)),
    "convnext_small": (96, (3, 3, 27, 3)),
    "convnext_base": (128, (3, 3, 27, 3)),
    "convnext_large": (192, (3, 3, 27, 3)),
    "convnext_xlarge": (256, (3, 3, 27, 3)),
    "convnextv2_atto": (40, (2, 2, 6, 2)),
    "convnextv2_femto": (48, (2, 2, 6, 2)),
    "convnextv2_pico": (64, (2, 2, 6, 2)),
    "convnextv2_nano": (80, (2, 2, 8, 2)),
    "convnextv2_tiny": (96, (3, 3, 9, 3)),
    "convnextv2_base": (128, (3, 3, 27, 3)),
    "convnextv2_large": (192, (3, 3, 27, 3)),
    "convnextv2_huge": (352, (3, 3, 27, 3)),
}

# (size, training data, resolution): ImageNet accuracy; 0 where the classifier is not ImageNet's.
_V1: dict[tuple[str, str, int], float] = {
    ("tiny", "1k", 224): 82.1,
    ("small", "1k", 224): 83.1,
    ("base", "1k", 224): 83.8,
    ("base", "1k", 384): 85.1,
    ("large", "1k", 224): 84.3,
    ("large", "1k", 384): 85.5,
    **{(size, "22k", 224): 0 for size in ("tiny", "small", "base", "large", "xlarge")},
    ("tiny", "22k_1k", 224): 82.9,
    ("tiny", "22k_1k", 384): 84.1,
    ("small", "22k_1k", 224): 84.6,
    ("small", "22k_1k", 384): 85.8,
    ("base", "22k_1k", 224): 85.8,
    ("base", "22k_1k", 384): 86.8,
    ("large", "22k_1k", 224): 86.6,
    ("large", "22k_1k", 384): 87.5,
    ("xlarge", "22k_1k", 224): 87.0,
    ("xlarge", "22k_1k", 384): 87.8,
}
# Files with averaged weights have it in their names.
_AVERAGED = {
    ("tiny", "1k", 224),
    ("small", "1k", 224),
    ("base", "1k", 224),
    ("large", "1k", 224),
    ("xlarge", "22k_1k", 224),
    ("xlarge", "22k_1k", 384),
}
_NOT_AT_HUGGING_FACE = {(size, data, side) for size, data, side in _V1 if size in ("tiny", "small") and data != "1k"}

_V2: dict[tuple[str, str, int], float] = {
    ("atto", "1k", 224): 76.7,
    ("femto", "1k", 224): 78.5,
    ("pico", "1k", 224): 80.3,
    ("nano", "1k", 224): 81.9,
    ("tiny", "1k", 224): 83.0,
    ("base", "1k", 224): 84.9,
    ("large", "1k", 224): 85.8,
    ("huge", "1k", 224): 86.3,
    ("nano", "22k", 224): 82.1,
    ("nano", "22k", 384): 83.4,
    ("tiny", "22k", 224): 83.9,
    ("tiny", "22k", 384): 85.1,
    ("base", "22k", 224): 86.8,
    ("base", "22k", 384): 87.7,
    ("large", "22k", 224): 87.3,
    ("large", "22k", 384): 88.2,
    ("huge", "22k", 384): 88.7,
    ("huge", "22k", 512): 88.9,
}


def variant(name: str, *, resolution: int = 224, **fields: Any) -> ConvNeXtConfig:
    """Returns the configuration of one of `SIZES`; other fields as `ConvNeXtConfig` has them."""
    width, depths = SIZES[name]
    second = name.startswith("convnextv2")
    chosen: dict[str, Any] = {"layer_scale": not second, "response_norm": second, "depths": depths}
    chosen["widths"] = tuple(width << stage for stage in range(len(depths)))
    return ConvNeXtConfig(resolution=resolution, **(chosen | fields))


def preprocessing(size: int) -> Preprocessing:
    """Returns the published preprocessing at a resolution."""
    cropped = size < _WITHOUT_CROP
    return Preprocessing(
        size=size,
        resize="short_side" if cropped else "square",
        resize_size=int(size * 8 / 7) if cropped else size,
        method="bicubic",
        antialias=True,
        resampler="pillow",
        crop="central" if cropped else "none",
        value_range=IMAGENET_RANGE,
        jpeg="accurate",
    )


def _entry(config: ConvNeXtConfig, *, weights: str = "", accuracy: float = 0) -> Entry:
    words = f"{accuracy}% ImageNet" if accuracy else ""
    return Entry(
        family=FAMILY,
        config=config,
        preprocessing=preprocessing(config.resolution),
        weights=weights,
        accuracy=words,
    )


def _hub(repository: str) -> str:
    return f"hf://{repository}/model.safetensors"


def _first() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for (size, data, side), accuracy in _V1.items():
        name = f"convnext_{size}"
        config = variant(name, resolution=side)
        file = f"{name}_{data}_{side}{'_ema' if (size, data, side) in _AVERAGED else ''}.pth"
        entries[f"{name}-{data}_{side}"] = _entry(config, weights=f"{_META}/{file}", accuracy=accuracy)
        if (size, data, side) not in _NOT_AT_HUGGING_FACE:
            copy = f"facebook/convnext-{size}-{side}{'' if data == '1k' else '-' + data.replace('_', '-')}"
            copied = dataclasses.replace(config, last_epsilon=_HUGGING_FACE_EPSILON)
            entries[copy] = _entry(copied, weights=_hub(copy), accuracy=accuracy)
        if (data, side) != ("1k", 384):  # which timm lacks
            words = {"1k": "in1k", "22k": "in22k", "22k_1k": "in22k_ft_in1k"}[data]
            copy = f"timm/{name}.fb_{words}{'_384' if side == 384 else ''}"
            entries[copy] = _entry(config, weights=_hub(copy), accuracy=accuracy)
    return entries


def _second() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for (size, data, side), accuracy in _V2.items():
        name = f"convnextv2_{size}"
        config = variant(name, resolution=side)
        weights = f"{_META}/convnextv2/im{data}/{name}_{data}_{side}_ema.pt"
        entries[f"{name}-{data}_{side}"] = _entry(config, weights=weights, accuracy=accuracy)
        copy = f"facebook/convnextv2-{size}-{data}-{side}"
        copied = dataclasses.replace(config, last_epsilon=_HUGGING_FACE_EPSILON)
        entries[copy] = _entry(copied, weights=_hub(copy), accuracy=accuracy)
        words = "in1k" if data == "1k" else "in22k_in1k"
        copy = f"timm/{name}.fcmae_ft_{words}{f'_{side}' if side > 224 else ''}"
        entries[copy] = _entry(config, weights=_hub(copy), accuracy=accuracy)
    for name in SIZES:
        if name.startswith("convnextv2"):  # before fine-tuning, without a last norm
            copy = f"timm/{name}.fcmae"
            entries[copy] = _entry(variant(name, pooling="average_unnormed"), weights=_hub(copy))
    return entries


ENTRIES = {**{name: _entry(variant(name)) for name in SIZES}, **_first(), **_second()}
