"""The Vision Transformers that have names as image sides of two-tower models: SigLIP's, OpenAI's CLIP and OpenCLIP's.

Source: the papers' tables and the model cards (2026-11); accuracies are theirs, those of the first SigLIP open_clip's
(docs/openclip_results.csv).
"""

from __future__ import annotations

from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.vit.published import ZERO_SHOT, cropped, entry, hugging_face, squeezed, variant
from lit_precompute.towers.preprocessing import CLIP_RANGE, Method, Scale

# name after google/siglip: (size, patch, resolution, method, zero-shot accuracy)
_SIGLIP: dict[str, tuple[str, int, int, Method, float]] = {
    "-base-patch16-224": ("b", 16, 224, "bicubic", 76.0),
    "-base-patch16-256": ("b", 16, 256, "bicubic", 76.5),
    "-base-patch16-384": ("b", 16, 384, "bicubic", 78.5),
    "-base-patch16-512": ("b", 16, 512, "bicubic", 79.1),
    "-large-patch16-256": ("l", 16, 256, "bicubic", 80.5),
    "-large-patch16-384": ("l", 16, 384, "bicubic", 82.1),
    "-so400m-patch14-224": ("so400m", 14, 224, "bicubic", 82.0),
    "-so400m-patch14-384": ("so400m", 14, 384, "bicubic", 83.1),
    "2-base-patch32-256": ("b", 32, 256, "bilinear", 74.0),
    "2-base-patch16-224": ("b", 16, 224, "bilinear", 78.2),
    "2-base-patch16-256": ("b", 16, 256, "bilinear", 79.1),
    "2-base-patch16-384": ("b", 16, 384, "bilinear", 80.6),
    "2-base-patch16-512": ("b", 16, 512, "bilinear", 81.2),
    "2-large-patch16-256": ("l", 16, 256, "bilinear", 82.5),
    "2-large-patch16-384": ("l", 16, 384, "bilinear", 83.1),
    "2-large-patch16-512": ("l", 16, 512, "bilinear", 83.5),
    "2-so400m-patch14-224": ("so400m", 14, 224, "bilinear", 83.2),
    "2-so400m-patch14-384": ("so400m", 14, 384, "bilinear", 84.1),
    "2-so400m-patch16-256": ("so400m", 16, 256, "bilinear", 83.4),
    "2-so400m-patch16-384": ("so400m", 16, 384, "bilinear", 84.1),
    "2-so400m-patch16-512": ("so400m", 16, 512, "bilinear", 84.3),
    "2-giant-opt-patch16-256": ("g", 16, 256, "bilinear", 84.5),
    "2-giant-opt-patch16-384": ("g", 16, 384, "bilinear", 85.0),
}


def _siglip() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for ending, (size, patch, side, method, accuracy) in _SIGLIP.items():
        fields: dict[str, Any] = {"width": 1536} if size == "g" else {}  # "g-opt" is wider than g
        common: dict[str, Any] = {"pooling": "map", "class_token": False, "position_resize": "bicubic", **fields}
        config = variant(size, patch, resolution=side, **common)
        measured = "" if ending.startswith("2") else ", measured by open_clip"
        said = f"{accuracy}{ZERO_SHOT}{measured}"
        name = f"google/siglip{ending}"
        entries[name] = entry(config, squeezed(side, method), weights=hugging_face(name), accuracy=said)
    return entries


# name: (open_clip's name as "model/pretrained", size, patch, resolution, projection, activation, zero-shot accuracy)
_CLIP = {
    "openai/clip-vit-base-patch32": ("ViT-B-32/openai", "b", 32, 224, 512, "quick", 63.2),
    "openai/clip-vit-base-patch16": ("ViT-B-16/openai", "b", 16, 224, 512, "quick", 68.6),
    "openai/clip-vit-large-patch14": ("ViT-L-14/openai", "l", 14, 224, 768, "quick", 75.3),
    "openai/clip-vit-large-patch14-336": ("ViT-L-14-336/openai", "l", 14, 336, 768, "quick", 76.2),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": ("ViT-B-32/laion2b_s34b_b79k", "b", 32, 224, 512, "exact", 66.6),
    "laion/CLIP-ViT-B-16-laion2B-s34B-b88K": ("ViT-B-16/laion2b_s34b_b88k", "b", 16, 224, 512, "exact", 70.2),
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": ("ViT-L-14/laion2b_s32b_b82k", "l", 14, 224, 768, "exact", 75.3),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": ("ViT-H-14/laion2b_s32b_b79k", "h", 14, 224, 1024, "exact", 78.0),
    "laion/CLIP-ViT-g-14-laion2B-s12B-b42K": ("ViT-g-14/laion2b_s12b_b42k", "g", 14, 224, 1024, "exact", 76.6),
    "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k": ("ViT-bigG-14/laion2b_s39b_b160k", "G", 14, 224, 1280, "exact", 80.1),
}


def _clip() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, (_, size, patch, side, projection, activation, accuracy) in _CLIP.items():
        common: dict[str, Any] = {"pooling": "projection", "position_resize": "bicubic", "norm_epsilon": 1e-5}
        config = variant(
            size,
            patch,
            resolution=side,
            pre_norm=True,
            patch_bias=False,
            projection_width=projection,
            activation=activation,
            **common,
        )
        # This one was trained on -1..1.
        values = Scale() if name.startswith("laion/CLIP-ViT-L") else CLIP_RANGE
        said = f"{accuracy}{ZERO_SHOT}"
        entries[name] = entry(config, cropped(side, side, values), weights=hugging_face(name), accuracy=said)
    return entries


ENTRIES = {**_siglip(), **_clip()}
# open_clip's names of the same weights with the same preprocessing.
ALIASES = {row[0]: name for name, row in _CLIP.items()}
