"""The Vision Transformers that have names: bare architectures, and published models with their weights' places.

A published model has the name that people use: `vit_b16-augreg_in21k` for the papers' `.npz` files, the repository's
name for models on Hugging Face. Preprocessing is the publisher's: big_vision and vision_transformer squeeze with
TensorFlow, the others resize with Pillow.

Source: the papers' tables and the repositories' README and model cards (2026-11); accuracies are theirs. Not here: the
image sides of two-tower models (`contrastive`), and timm's copies (`timm`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.vit import FAMILY
from lit_precompute.towers.image.vit.config import ViTConfig
from lit_precompute.towers.preprocessing import IMAGENET_RANGE, Method, Preprocessing, ValueRange
from lit_precompute.towers.vit_sizes import SIZES

_BUCKET = "https://storage.googleapis.com"
_META = "https://dl.fbaipublicfiles.com"
_LINEAR = "% ImageNet, linear probe"
ZERO_SHOT = "% ImageNet, zero-shot"


def variant(size: str, patch_size: int, *, resolution: int = 224, **fields: Any) -> ViTConfig:
    """Returns the configuration of a size of `SIZES`; other fields as `ViTConfig` has them."""
    width, depth, mlp_width, num_heads = SIZES[size]
    sizes: dict[str, Any] = {"width": width, "depth": depth, "mlp_width": mlp_width, "num_heads": num_heads}
    return ViTConfig(resolution=resolution, patch_size=patch_size, **{**sizes, **fields})


def squeezed(size: int, method: Method = "bilinear") -> Preprocessing:
    """Returns the preprocessing of Hugging Face's ViT and SigLIP: the whole image to a square."""
    return Preprocessing(size=size, method=method, antialias=True, resampler="pillow", jpeg="accurate")


def cropped(size: int, short_side: int, value_range: ValueRange = IMAGENET_RANGE) -> Preprocessing:
    """Returns Hugging Face's preprocessing: resize the short side (bicubic), then crop the middle."""
    return dataclasses.replace(
        squeezed(size, "bicubic"), resize="short_side", resize_size=short_side, crop="central", value_range=value_range
    )


def torchvisions(size: int, short_side: int, value_range: ValueRange) -> Preprocessing:
    """Returns the preprocessing of timm and OpenCLIP, whose crop begins where torchvision's does."""
    return dataclasses.replace(cropped(size, short_side, value_range), crop="central_rounded")


def entry(
    config: ViTConfig, preprocessing: Preprocessing | None = None, *, weights: str = "", accuracy: str = ""
) -> Entry:
    """Returns the entry of a configuration, by default with big_vision's preprocessing."""
    preprocessing = preprocessing or Preprocessing(size=config.resolution)
    return Entry(family=FAMILY, config=config, preprocessing=preprocessing, weights=weights, accuracy=accuracy)


def hugging_face(repository: str) -> str:
    """Returns the place of a repository's weights."""
    return f"hf://{repository}/model.safetensors"


def _architectures() -> dict[str, Entry]:
    patch_sizes = {
        "ti": (16,),
        "s": (32, 16),
        "b": (32, 16, 8),
        "l": (32, 16),
        "so400m": (14,),
        "h": (14,),
        "g": (14,),
        "G": (14,),
    }
    return {
        f"vit_{size}{patch}": entry(variant(size, patch)) for size, patches in patch_sizes.items() for patch in patches
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
        entries[f"vit_{name}-augreg_in21k"] = entry(variant(size, patch), weights=weights, accuracy=words)
    for size, patch in (("b", 32), ("b", 16), ("l", 32), ("l", 16), ("h", 14)):
        weights = f"{_BUCKET}/vit_models/imagenet21k/ViT-{size.upper()}_{patch}.npz"
        entries[f"vit_{size}{patch}-in21k"] = entry(variant(size, patch, pooling="pre_logits"), weights=weights)
    # The image sides of the public LiT models; only B16B has a linear head (out_dim in vit_jax's configs).
    head: dict[str, Any] = {"pooling": "projection", "projection_width": 768, "projection_bias": True}
    lit: dict[str, tuple[str, str, dict[str, Any], float]] = {
        "b16b": ("LiT-B16B", "b", head, 72.1),
        "b16b_2": ("LiT-B16B_2", "b", {}, 73.9),
        "l16l": ("LiT-L16L", "l", {}, 75.7),
    }
    for name, (file, size, fields, accuracy) in lit.items():
        entries[f"lit-{name}"] = entry(
            variant(size, 16, **fields),
            weights=f"{_BUCKET}/vit_models/lit/{file}.npz",
            accuracy=f"{accuracy}{ZERO_SHOT} with its text tower",
        )
    return entries


def _hugging_face_vits() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for words, size in (("base", "b"), ("large", "l"), ("huge", "h")):
        for patch in (14,) if size == "h" else (16, 32):
            name = f"google/vit-{words}-patch{patch}-224-in21k"
            config = variant(size, patch, activation="exact", norm_epsilon=1e-12, position_resize="bicubic")
            entries[name] = entry(config, squeezed(224), weights=hugging_face(name))
    for words, size, accuracy in (("base", "b", 81.2), ("large", "l", 82.7)):
        name = f"google/vit-{words}-patch16-224"
        config = variant(size, 16, activation="exact", norm_epsilon=1e-12, position_resize="bicubic")
        said = f"{accuracy}% ImageNet, fine-tuned"
        entries[name] = entry(config, squeezed(224), weights=hugging_face(name), accuracy=said)
    return entries


def _self_supervised() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size, patch, accuracy in (("s", 16, 77.0), ("s", 8, 79.7), ("b", 16, 78.2), ("b", 8, 80.1)):
        config = variant(size, patch, activation="exact", position_resize="bicubic")
        file = f"dino_{'deitsmall' if size == 's' else 'vitbase'}{patch}_pretrain"
        said = f"{accuracy}{_LINEAR}"
        weights = f"{_META}/dino/{file}/{file}.pth"
        entries[f"dino_vit{size}{patch}"] = entry(config, cropped(224, 256), weights=weights, accuracy=said)
        # Hugging Face's copy: the same weights, LayerNorm's epsilon apart.
        copied = dataclasses.replace(config, norm_epsilon=1e-12)
        name = f"facebook/dino-vit{size}{patch}"
        entries[name] = entry(copied, cropped(224, 256), weights=hugging_face(name), accuracy=said)
    for size, accuracy in (("s", 73.2), ("b", 76.7)):
        # Its small one has twelve heads.
        config = variant(size, 16, num_heads=12, activation="exact", positions="sine_moco")
        weights = f"{_META}/moco-v3/vit-{size}-300ep/vit-{size}-300ep.pth.tar"
        said = f"{accuracy}{_LINEAR}"
        entries[f"mocov3_vit{size}16"] = entry(config, cropped(224, 256), weights=weights, accuracy=said)
    return entries | _dinov2()


def _dinov2() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    giant: dict[str, Any] = {"width": 1536, "depth": 40, "num_heads": 24, "mlp_width": 4096, "activation": "swiglu"}
    # size: (accuracy, with registers)
    sizes: dict[str, tuple[str, dict[str, Any], float, float]] = {
        "small": ("s", {}, 81.1, 80.9),
        "base": ("b", {}, 84.5, 84.6),
        "large": ("l", {}, 86.3, 86.7),
        "giant": ("g", giant, 86.5, 87.1),
    }
    for words, (size, fields, plain, registers) in sizes.items():
        common: dict[str, Any] = {"activation": "exact", "layer_scale": True, **fields}
        config = variant(size, 14, position_resize="bicubic", **common)
        name = f"facebook/dinov2-{words}"
        preprocessing, said = cropped(224, 256), f"{plain}{_LINEAR}"
        entries[name] = entry(config, preprocessing, weights=hugging_face(name), accuracy=said)
        config = variant(size, 14, position_resize="bicubic_antialias", num_registers=4, **common)
        name, said = f"facebook/dinov2-with-registers-{words}", f"{registers}{_LINEAR}"
        entries[name] = entry(config, preprocessing, weights=hugging_face(name), accuracy=said)
    return entries


ENTRIES = {
    **_architectures(),
    **_google_files(),
    **_hugging_face_vits(),
    **_self_supervised(),
}
# Other names of the same weights with the same preprocessing: big_vision's.
ALIASES = {f"howto-i21k-{size.title()}/{patch}": f"vit_{size}{patch}-augreg_in21k" for size, patch in _AUGREG_SIZES}
