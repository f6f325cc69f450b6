"""The EVA-02 models that have names: timm's copies of the authors' files, with timm's preprocessing, and OpenCLIP's.

timm resizes to 224 / 0.9 and crops, but squeezes (`squash`) where the authors fine-tuned on ImageNet-22k. OpenCLIP's
repositories hold both towers, and its preprocessing sees the whole short side.

Source: timm 1.0.31, timm/models/eva.py (model functions and default_cfgs); its results/results-imagenet.csv (2026-08)
for accuracies of classifiers; open_clip 3, src/open_clip/pretrained.py, and EVA-CLIP's README for zero-shot accuracies.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.eva import FAMILY
from lit_precompute.towers.image.eva.config import EvaConfig
from lit_precompute.towers.image.vit.published import ZERO_SHOT, hugging_face, squeezed, torchvisions
from lit_precompute.towers.preprocessing import CLIP_RANGE, Preprocessing

# size: (width, depth, heads, width of the MLP); the MLP's is two thirds of four times the width, for the gate.
_SIZES = {
    "tiny": (192, 12, 3, 512),
    "small": (384, 12, 6, 1024),
    "base": (768, 12, 12, 2048),
    "large": (1024, 24, 16, 2730),
    "enormous": (1792, 64, 16, 15360),
}
_WITH_MLP_NORM = ("base", "large")

# tag: (size, resolution, ImageNet accuracy of the classifier as timm measured it)
_FINE_TUNED = {
    "mim_in22k_ft_in1k": (
        ("tiny", 336, 80.65),
        ("small", 336, 85.77),
        ("base", 448, 88.26),
        ("large", 448, 89.63),
    ),
    "mim_m38m_ft_in1k": (("large", 448, 89.55),),
    "mim_in22k_ft_in22k": (("base", 448, 0.0), ("large", 448, 0.0)),
    "mim_m38m_ft_in22k": (("large", 448, 0.0),),
    "mim_in22k_ft_in22k_in1k": (("base", 448, 88.68), ("large", 448, 89.96)),
    "mim_m38m_ft_in22k_in1k": (("large", 448, 90.06),),
}
# (size, patch, resolution, projection, timm's tag, OpenCLIP's repository and name, zero-shot accuracy)
_CLIP = (
    ("base", 16, 224, 512, "merged2b", "base_patch16_clip_224.merged2b_s8b_b131k", "B-16", 74.7),
    ("large", 14, 224, 768, "merged2b", "large_patch14_clip_224.merged2b_s4b_b131k", "L-14", 79.8),
    ("large", 14, 336, 768, "merged2b", "large_patch14_clip_336.merged2b_s6b_b61k", "L-14-336", 80.4),
    ("enormous", 14, 224, 1024, "laion2b", "enormous_patch14_clip_224.laion2b_s4b_b115k", "E-14", 81.9),
    ("enormous", 14, 224, 1024, "laion2b_plus", "enormous_patch14_plus_clip_224.laion2b_s9b_b144k", "E-14-plus", 82.0),
)


def variant(size: str, patch_size: int, *, resolution: int, **fields: Any) -> EvaConfig:
    """Returns the configuration of a size; other fields as `EvaConfig` has them."""
    width, depth, num_heads, mlp_width = _SIZES[size]
    common: dict[str, Any] = {"mlp_norm": size in _WITH_MLP_NORM, **fields}
    return EvaConfig(
        resolution=resolution,
        patch_size=patch_size,
        width=width,
        depth=depth,
        num_heads=num_heads,
        mlp_width=mlp_width,
        **common,
    )


def _entry(name: str, config: EvaConfig, preprocessing: Preprocessing, accuracy: str = "") -> dict[str, Entry]:
    weights = hugging_face(f"timm/{name}")
    entry = Entry(family=FAMILY, config=config, preprocessing=preprocessing, weights=weights, accuracy=accuracy)
    return {f"timm/{name}": entry}


def _images(side: int) -> Preprocessing:
    """Returns timm's preprocessing: at 224 pixels a tenth is cropped, at more nothing of the short side."""
    return torchvisions(side, 248 if side == 224 else side, CLIP_RANGE)


def _pre_trained() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size in ("tiny", "small", "base", "large"):
        for tag in ("mim_in22k", "mim_m38m") if size == "large" else ("mim_in22k",):
            config = variant(size, 14, resolution=224, last_norm="average")
            entries |= _entry(f"eva02_{size}_patch14_224.{tag}", config, _images(224))
    return entries


def _fine_tuned() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for tag, sizes in _FINE_TUNED.items():
        for size, side, accuracy in sizes:
            config = variant(size, 14, resolution=side, last_norm="average")
            preprocessing = _images(side)
            if "ft_in22k" in tag:
                preprocessing = dataclasses.replace(squeezed(side, "bicubic"), value_range=CLIP_RANGE)
            said = f"{accuracy:.2f}% ImageNet, measured by timm" if accuracy else ""
            entries |= _entry(f"eva02_{size}_patch14_{side}.{tag}", config, preprocessing, said)
    return entries


def _clip() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size, patch, side, projection, tag, repository, _, accuracy in _CLIP:
        # E/14 is another network: no gate, no rotary positions, norms after the layers.
        fields: dict[str, Any] = {"attention_norm": True}
        if size == "enormous":
            fields = {"activation": "exact", "rotary": "none", "rotary_grid": 0, "block_norms": "after"}
        config = variant(size, patch, resolution=side, pooling="projection", projection_width=projection, **fields)
        said = f"{accuracy}{ZERO_SHOT}"
        entries |= _entry(f"eva02_{size}_patch{patch}_clip_{side}.{tag}", config, _images(side), said)
        entries[f"timm/eva02_{repository}"] = Entry(
            family=FAMILY,
            config=config,
            preprocessing=torchvisions(side, side, CLIP_RANGE),
            weights=f"hf://timm/eva02_{repository}/open_clip_pytorch_model.bin",
            accuracy=said,
        )
    return entries


ENTRIES = {**_pre_trained(), **_fine_tuned(), **_clip()}
# Without `timm/`, and open_clip's names of the same weights with the same preprocessing.
ALIASES = {
    **{name.removeprefix("timm/"): name for name in ENTRIES},
    **{f"EVA02-{row[6]}/{row[5].partition('.')[2]}": f"timm/eva02_{row[5]}" for row in _CLIP},
}
