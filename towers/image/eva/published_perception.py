"""Perception Encoder's core models (PE-Core): the authors' files, and timm's copies of them.

Both are separate towers. The authors squeeze images to the square and, at another resolution, count rows and columns on
and resize positions bilinearly; timm crops, scales rows and columns to those of the training, and resizes positions as
its other models do. timm gives the projection a bias, which is zero.

Source: facebookresearch/perception_models, core/vision_encoder/{config,transforms,pe}.py, and apps/pe/README.md for
zero-shot accuracies; timm 1.0.31, timm/models/eva.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.eva import FAMILY
from lit_precompute.towers.image.eva.config import EvaConfig
from lit_precompute.towers.image.vit.published import ZERO_SHOT, hugging_face, squeezed, torchvisions
from lit_precompute.towers.preprocessing import Scale

# The repository's letter: (timm's word, width, depth, heads, width of the MLP, patch, resolution, projection,
# open_clip's model, zero-shot accuracy). The smaller ones are distilled from G, which has no class token.
_CORE = {
    "T": ("tiny", 192, 12, 3, 768, 16, 384, 512, "T-16-384", 62.1),
    "S": ("small", 384, 12, 6, 1536, 16, 384, 512, "S-16-384", 72.7),
    "B": ("base", 768, 12, 12, 3072, 16, 224, 1024, "B-16", 78.4),
    "L": ("large", 1024, 24, 16, 4096, 14, 336, 1024, "L-14-336", 83.5),
    "G": ("gigantic", 1536, 50, 16, 8960, 14, 448, 1280, "bigG-14-448", 85.4),
}


def _config(letter: str, **fields: Any) -> EvaConfig:
    _, width, depth, num_heads, mlp_width, patch_size, resolution, projection, _, _ = _CORE[letter]
    has_token = letter != "G"
    return EvaConfig(
        resolution=resolution,
        patch_size=patch_size,
        width=width,
        depth=depth,
        num_heads=num_heads,
        mlp_width=mlp_width,
        class_token=has_token,
        pooling="projection",
        activation="exact",
        key_bias=True,
        pre_norm=True,
        norm_epsilon=1e-5,
        rotary="columns_first",
        # Row and column 0 are left to the class token.
        rotary_start=int(has_token),
        map_heads=8,
        projects="map",
        projection_width=projection,
        **fields,
    )


def _repository(letter: str) -> str:
    patch, side = _CORE[letter][5:7]
    return f"facebook/PE-Core-{letter}{patch}-{side}"


def _authors(letter: str) -> Entry:
    name, (side, accuracy) = _repository(letter), (_CORE[letter][6], _CORE[letter][-1])
    return Entry(
        family=FAMILY,
        config=_config(letter, rotary_grid=0, position_resize="bilinear", projection_bias=False),
        preprocessing=squeezed(side),
        weights=f"hf://{name}/{name.removeprefix('facebook/')}.pt",
        accuracy=f"{accuracy}{ZERO_SHOT}",
    )


def _timm() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for letter, (word, *_, accuracy) in _CORE.items():
        config = _config(letter)
        side, patch = config.resolution, config.patch_size
        name = f"timm/vit_pe_core_{word}_patch{patch}_{side}.fb"
        entries[name] = Entry(
            family=FAMILY,
            config=dataclasses.replace(config, rotary_grid=config.grid),
            preprocessing=torchvisions(side, side, Scale()),
            weights=hugging_face(name),
            accuracy=f"{accuracy}{ZERO_SHOT}",
        )
    return entries


ENTRIES = {**{_repository(letter): _authors(letter) for letter in _CORE}, **_timm()}
# Without `timm/`, and open_clip's names of the same weights with the same preprocessing.
ALIASES = {
    **{name.removeprefix("timm/"): name for name in ENTRIES if name.startswith("timm/")},
    **{f"PE-Core-{row[8]}/meta": _repository(letter) for letter, row in _CORE.items()},
}
