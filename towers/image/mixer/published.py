"""The Mixers that have names: bare architectures, the papers' files, and timm's.

Source: arXiv:2105.01601, table 3, and arXiv:2106.01548 (SAM); google-research/vision_transformer, vit_jax.ipynb (the
list of files); timm's table of results (2026-11).
"""

from __future__ import annotations

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.mixer import FAMILY
from lit_precompute.towers.image.mixer.config import RESOLUTION, SIZES, variant
from lit_precompute.towers.preprocessing import SIGNED_RANGE, Method, Preprocessing, Scale, ValueRange

# folder: {file: ImageNet accuracy, "" where we know of none}
_PUBLISHED = {
    "imagenet21k": {"B_16": "80.64% ImageNet, fine-tuned", "L_16": "82.89% ImageNet, fine-tuned"},
    "imagenet1k": {"B_16": "76.44% ImageNet", "L_16": "71.76% ImageNet"},
    "sam": {"B_32": "72.4% ImageNet", "B_16": "77.4% ImageNet"},
    "gsam": {"S_32": "", "S_16": "", "S_8": "", "B_32": "", "B_16": ""},
}
_TAGS = {"imagenet21k": "in21k", "imagenet1k": "in1k", "sam": "sam_in1k", "gsam": "gsam_in1k"}
# name: (size, method, value range, ImageNet accuracy by timm)
_ON_HUGGING_FACE: dict[str, tuple[str, Method, ValueRange, float]] = {
    "b16_224.goog_in21k": ("b", "bicubic", SIGNED_RANGE, 0),
    "b16_224.goog_in21k_ft_in1k": ("b", "bicubic", SIGNED_RANGE, 76.6),
    "l16_224.goog_in21k": ("l", "bicubic", SIGNED_RANGE, 0),
    "l16_224.goog_in21k_ft_in1k": ("l", "bicubic", SIGNED_RANGE, 72.1),
    "b16_224.miil_in21k": ("b", "bilinear", Scale(low=0), 0),
    "b16_224.miil_in21k_ft_in1k": ("b", "bilinear", Scale(low=0), 82.3),
}
# As vision_transformer's input pipeline: the whole image squeezed to a square, bilinear.
_SQUEEZED = Preprocessing(size=RESOLUTION)


def _architectures() -> dict[str, Entry]:
    return {
        f"mixer_{size}{patch}": Entry(family=FAMILY, config=variant(size, patch), preprocessing=_SQUEEZED)
        for size in SIZES
        for patch in ((32, 16, 14) if size == "h" else (32, 16))
    }


def _google_files() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for folder, files in _PUBLISHED.items():
        for file, accuracy in files.items():
            size, patch = file.lower().split("_")
            entries[f"mixer_{size}{patch}-{_TAGS[folder]}"] = Entry(
                family=FAMILY,
                config=variant(size, int(patch)),
                preprocessing=_SQUEEZED,
                weights=f"https://storage.googleapis.com/mixer_models/{folder}/Mixer-{file}.npz",
                accuracy=accuracy,
            )
    return entries


def _timm_copies() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, (size, method, value_range, accuracy) in _ON_HUGGING_FACE.items():
        preprocessing = Preprocessing(
            size=RESOLUTION,
            resize="short_side",
            resize_size=256,
            crop="central",
            method=method,
            antialias=True,
            resampler="pillow",
            value_range=value_range,
            jpeg="accurate",
        )
        entries[f"timm/mixer_{name}"] = Entry(
            family=FAMILY,
            config=variant(size, 16, activation="exact"),
            preprocessing=preprocessing,
            weights=f"hf://timm/mixer_{name}/model.safetensors",
            accuracy=f"{accuracy}% ImageNet" if accuracy else "",
        )
    return entries


ENTRIES = {**_architectures(), **_google_files(), **_timm_copies()}
