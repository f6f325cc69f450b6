"""The Vision Transformers that have names: bare architectures, and published models with their weights' places.

A published model's name is the one that people use: `vit_b16-augreg_in21k` for the `.npz` files of the papers, the
repository's name for Hugging Face's. Preprocessing is the publisher's: big_vision and vision_transformer squeeze with
TensorFlow, the others resize with Pillow.

Source: the papers' tables and the repositories' README and model cards (2026-11); accuracies are theirs, those of the
first SigLIP open_clip's (docs/openclip_results.csv).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.vit import FAMILY
from lit_precompute.towers.image.vit.config import SIZES, ViTConfig
from lit_precompute.towers.preprocessing import CLIP_RANGE, IMAGENET_RANGE, Method, Preprocessing, Scale, ValueRange

_BUCKET = "https://storage.googleapis.com"
_META = "https://dl.fbaipublicfiles.com"
_LINEAR = "% ImageNet, linear probe"
_ZERO_SHOT = "% ImageNet, zero-shot"


def variant(size: str, patch_size: int, *, resolution: int = 224, **fields: Any) -> ViTConfig:
    """Returns the configuration of a size of `SIZES`; other fields as `ViTConfig` has them."""
    width, depth, mlp_width, num_heads = SIZES[size]
    sizes: dict[str, Any] = {"width": width, "depth": depth, "mlp_width": mlp_width, "num_heads": num_heads}
    return ViTConfig(resolution=resolution, patch_size=patch_size, **{**sizes, **fields})


def _squeezed(size: int, method: Method = "bilinear") -> Preprocessing:
    """Hugging Face's ViT and SigLIP: the whole picture to a square."""
    return Preprocessing(size=size, method=method, antialias=True, resampler="pillow", jpeg="accurate")


def cropped(size: int, short_side: int, value_range: ValueRange = IMAGENET_RANGE) -> Preprocessing:
    """Returns torchvision's way: the short side, then the middle, bicubic."""
    return dataclasses.replace(
        _squeezed(size, "bicubic"), resize="short_side", resize_size=short_side, crop="central", value_range=value_range
    )


def _entry(
    config: ViTConfig, preprocessing: Preprocessing | None = None, *, weights: str = "", accuracy: str = ""
) -> Entry:
    preprocessing = preprocessing or Preprocessing(size=config.resolution)
    return Entry(family=FAMILY, config=config, preprocessing=preprocessing, weights=weights, accuracy=accuracy)


def hugging_face(repository: str) -> str:
    """Returns the place of a repository's weights."""
    return f"hf://{repository}/model.safetensors"


def _architectures() -> dict[str, Entry]:
    patch_sizes = {"ti": (16,), "s": (32, 16), "b": (32, 16, 8), "l": (32, 16), "so400m": (14,)}
    patch_sizes |= {"h": (14,), "g": (14,), "G": (14,)}
    return {
        f"vit_{size}{patch}": _entry(variant(size, patch)) for size, patches in patch_sizes.items() for patch in patches
    }


# name: (file, ImageNet accuracy after fine-tuning at 384 pixels; "How to train your ViT", the recommended files)
_AUGREG = {
    "ti16": ("Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0", 78.22),
    "s32": ("S_32-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0", 79.58),
    "s16": ("S_16-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0", 83.73),
    "b32": ("B_32-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0", 83.59),
    "b16": ("B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0", 85.49),
    "b8": ("B_8-i21k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0", 0),
    "l16": ("L_16-i21k-300ep-lr_0.001-aug_strong1-wd_0.1-do_0.0-sd_0.0", 85.59),
}
_AUGREG_SIZES = [(name.rstrip("0123456789"), int(name.lstrip("tisbl"))) for name in _AUGREG]


def _google_files() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for (name, (file, accuracy)), (size, patch) in zip(_AUGREG.items(), _AUGREG_SIZES, strict=True):
        words = f"{accuracy}% ImageNet, fine-tuned at 384 pixels" if accuracy else ""
        weights = f"{_BUCKET}/vit_models/augreg/{file}.npz"
        entries[f"vit_{name}-augreg_in21k"] = _entry(variant(size, patch), weights=weights, accuracy=words)
    for size, patch in (("b", 32), ("b", 16), ("l", 32), ("l", 16), ("h", 14)):
        weights = f"{_BUCKET}/vit_models/imagenet21k/ViT-{size.upper()}_{patch}.npz"
        entries[f"vit_{size}{patch}-in21k"] = _entry(variant(size, patch, pooling="pre_logits"), weights=weights)
    # The image sides of the public LiT models; B16B alone has a linear head there (out_dim in vit_jax's configs).
    head: dict[str, Any] = {"pooling": "projection", "projection_width": 768, "projection_bias": True}
    lit: dict[str, tuple[str, str, dict[str, Any], float]] = {}
    lit |= {"b16b": ("LiT-B16B", "b", head, 72.1), "b16b_2": ("LiT-B16B_2", "b", {}, 73.9)}
    lit |= {"l16l": ("LiT-L16L", "l", {}, 75.7)}
    for name, (file, size, fields, accuracy) in lit.items():
        entries[f"lit-{name}"] = _entry(
            variant(size, 16, **fields),
            weights=f"{_BUCKET}/vit_models/lit/{file}.npz",
            accuracy=f"{accuracy}{_ZERO_SHOT} with its text tower",
        )
    return entries


def _hugging_face_vits() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for words, size in (("base", "b"), ("large", "l"), ("huge", "h")):
        for patch in (14,) if size == "h" else (16, 32):
            name = f"google/vit-{words}-patch{patch}-224-in21k"
            config = variant(size, patch, activation="exact", norm_epsilon=1e-12, position_resize="bicubic")
            entries[name] = _entry(config, _squeezed(224), weights=hugging_face(name))
    for words, size, accuracy in (("base", "b", 81.2), ("large", "l", 82.7)):
        name = f"google/vit-{words}-patch16-224"
        config = variant(size, 16, activation="exact", norm_epsilon=1e-12, position_resize="bicubic")
        said = f"{accuracy}% ImageNet, fine-tuned"
        entries[name] = _entry(config, _squeezed(224), weights=hugging_face(name), accuracy=said)
    return entries


def _self_supervised() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size, patch, accuracy in (("s", 16, 77.0), ("s", 8, 79.7), ("b", 16, 78.2), ("b", 8, 80.1)):
        config = variant(size, patch, activation="exact", position_resize="bicubic")
        file = f"dino_{'deitsmall' if size == 's' else 'vitbase'}{patch}_pretrain"
        said = f"{accuracy}{_LINEAR}"
        weights = f"{_META}/dino/{file}/{file}.pth"
        entries[f"dino_vit{size}{patch}"] = _entry(config, cropped(224, 256), weights=weights, accuracy=said)
        # Hugging Face's copy: the same weights, LayerNorm's epsilon apart.
        copied = dataclasses.replace(config, norm_epsilon=1e-12)
        name = f"facebook/dino-vit{size}{patch}"
        entries[name] = _entry(copied, cropped(224, 256), weights=hugging_face(name), accuracy=said)
    for size, accuracy in (("s", 73.2), ("b", 76.7)):
        # Its small one has twelve heads.
        config = variant(size, 16, num_heads=12, activation="exact", positions="sine_moco")
        weights = f"{_META}/moco-v3/vit-{size}-300ep/vit-{size}-300ep.pth.tar"
        said = f"{accuracy}{_LINEAR}"
        entries[f"mocov3_vit{size}16"] = _entry(config, cropped(224, 256), weights=weights, accuracy=said)
    return entries | _dinov2()


def _dinov2() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    giant: dict[str, Any] = {"width": 1536, "depth": 40, "num_heads": 24, "mlp_width": 4096, "activation": "swiglu"}
    # size: (accuracy, with registers)
    sizes: dict[str, tuple[str, dict[str, Any], float, float]] = {}
    sizes |= {"small": ("s", {}, 81.1, 80.9), "base": ("b", {}, 84.5, 84.6)}
    sizes |= {"large": ("l", {}, 86.3, 86.7), "giant": ("g", giant, 86.5, 87.1)}
    for words, (size, fields, plain, registers) in sizes.items():
        common: dict[str, Any] = {"activation": "exact", "layer_scale": True, **fields}
        config = variant(size, 14, position_resize="bicubic", **common)
        name = f"facebook/dinov2-{words}"
        preprocessing, said = cropped(224, 256), f"{plain}{_LINEAR}"
        entries[name] = _entry(config, preprocessing, weights=hugging_face(name), accuracy=said)
        config = variant(size, 14, position_resize="bicubic_antialias", num_registers=4, **common)
        name, said = f"facebook/dinov2-with-registers-{words}", f"{registers}{_LINEAR}"
        entries[name] = _entry(config, preprocessing, weights=hugging_face(name), accuracy=said)
    return entries


# name behind google/siglip: (size, patch, resolution, method, zero-shot accuracy)
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
        said = f"{accuracy}{_ZERO_SHOT}{measured}"
        name = f"google/siglip{ending}"
        entries[name] = _entry(config, _squeezed(side, method), weights=hugging_face(name), accuracy=said)
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
        said = f"{accuracy}{_ZERO_SHOT}"
        entries[name] = _entry(config, cropped(side, side, values), weights=hugging_face(name), accuracy=said)
    return entries


ENTRIES = {
    **_architectures(),
    **_google_files(),
    **_hugging_face_vits(),
    **_self_supervised(),
    **_siglip(),
    **_clip(),
}
# Other names of the same weights with the same preprocessing: big_vision's and open_clip's.
ALIASES = {
    **{f"howto-i21k-{size.title()}/{patch}": f"vit_{size}{patch}-augreg_in21k" for size, patch in _AUGREG_SIZES},
    **{row[0]: name for name, row in _CLIP.items()},
}
