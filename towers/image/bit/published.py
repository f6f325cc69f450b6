"""The BiTs that have names: bare architectures, and published models with their weights' places.

A published model's name is `bit_r50x1-bit_m` for the authors' files (`bit_s`: pre-trained on ImageNet, `bit_m`: on
ImageNet-21k, `bit_m_ilsvrc2012`: then fine-tuned on ImageNet), the repository's name for models of Hugging Face and
timm. Preprocessing is the publisher's: the authors squeeze with TensorFlow, the others resize and crop with Pillow. One
deviation: the authors do not round the resized image to integers; big_vision does, and so do we.

Source: github.com/google-research/big_transfer (README, bit_hyperrule.py, input_pipeline_tf2_or_jax.py), timm's
models/resnetv2.py and results-imagenet.csv, the card of google/bit-50 (2026-11). The distilled models' crop:
big_vision's configs/proj/distill/bit_i1k.py.
"""

from __future__ import annotations

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.bit import FAMILY
from lit_precompute.towers.image.bit.config import BiTConfig
from lit_precompute.towers.preprocessing import Method, Preprocessing

_BUCKET = "https://storage.googleapis.com/bit_models"
_TORCH_EPSILON = 1e-8  # of timm and transformers
# name: (units of each block, factor of the width)
SIZES = {
    "50x1": ((3, 4, 6, 3), 1),
    "50x3": ((3, 4, 6, 3), 3),
    "101x1": ((3, 4, 23, 3), 1),
    "101x3": ((3, 4, 23, 3), 3),
    "152x2": ((3, 8, 36, 3), 2),
    "152x4": ((3, 8, 36, 3), 4),
}
# What fine-tuning the BiT-M model gives on ImageNet: the README's figures (480 pixels); R152x4's is the paper's.
_FINE_TUNED = {"50x1": 80.68, "152x2": 85.15, "152x4": 85.39}
# timm's measurements of the authors' fine-tuned models at 448 pixels, except R152x4 at 480.
_MEASURED = {"50x1": 80.34, "50x3": 84.02, "101x1": 82.34, "101x3": 84.44, "152x2": 84.51, "152x4": 84.92}


def variant(size: str, *, resolution: int = 224, weight_epsilon: float = 1e-10) -> BiTConfig:
    """Returns the configuration of a size of `SIZES`."""
    depths, factor = SIZES[size]
    return BiTConfig(resolution=resolution, depths=depths, width=64 * factor, weight_epsilon=weight_epsilon)


def _cropped(size: int, short_side: int, method: Method = "bilinear") -> Preprocessing:
    """As torchvision does: the short side, then the middle."""
    return Preprocessing(
        size=size,
        resize="short_side",
        resize_size=short_side,
        method=method,
        antialias=True,
        resampler="pillow",
        crop="central",
        jpeg="accurate",
    )


def _entry(
    config: BiTConfig, preprocessing: Preprocessing | None = None, *, weights: str = "", accuracy: str = ""
) -> Entry:
    preprocessing = preprocessing or Preprocessing(size=config.resolution)
    return Entry(family=FAMILY, config=config, preprocessing=preprocessing, weights=weights, accuracy=accuracy)


def _authors_files() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size in SIZES:
        entries[f"bit_r{size}"] = _entry(variant(size))
        for letter in "sm":
            known = letter == "m" and size in _FINE_TUNED
            accuracy = f"{_FINE_TUNED[size]}% ImageNet, fine-tuned" if known else ""
            weights = f"{_BUCKET}/BiT-{letter.upper()}-R{size}.npz"
            entries[f"bit_r{size}-bit_{letter}"] = _entry(variant(size), weights=weights, accuracy=accuracy)
        entries[f"bit_r{size}-bit_m_ilsvrc2012"] = _entry(
            variant(size, resolution=480),
            weights=f"{_BUCKET}/BiT-M-R{size}-ILSVRC2012.npz",
            accuracy=_measured(size),
        )
    distilled = Preprocessing(size=224, resize="short_side", resize_size=256, crop="central")
    entries["bit_r50x1-distilled"] = _entry(
        variant("50x1"), distilled, weights=f"{_BUCKET}/distill/R50x1_224.npz", accuracy="82.8% ImageNet, distilled"
    )
    return entries


def _measured(size: str) -> str:
    pixels = 480 if size == "152x4" else 448
    return f"{_MEASURED[size]}% ImageNet, fine-tuned, measured by timm at {pixels} pixels"


def _timm() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size in SIZES:
        side = 480 if size == "152x4" else 448
        entries |= _timm_entry(size, "goog_in21k", _cropped(224, 256))
        entries |= _timm_entry(size, "goog_in21k_ft_in1k", _cropped(side, side), _measured(size))
    said = "% ImageNet, measured by timm"
    bicubic = _cropped(224, 256, "bicubic")
    entries |= _timm_entry("50x1", "goog_distilled_in1k", bicubic, f"82.82{said}")
    entries |= _timm_entry("152x2", "goog_teacher_in21k_ft_in1k", bicubic, f"82.88{said}")
    bicubic = _cropped(384, 384, "bicubic")
    return entries | _timm_entry("152x2", "goog_teacher_in21k_ft_in1k_384", bicubic, f"83.83{said}")


def _timm_entry(size: str, tag: str, preprocessing: Preprocessing, accuracy: str = "") -> dict[str, Entry]:
    name = f"timm/resnetv2_{size}_bit.{tag}"
    config = variant(size, resolution=preprocessing.size, weight_epsilon=_TORCH_EPSILON)
    return {name: _entry(config, preprocessing, weights=f"hf://{name}/model.safetensors", accuracy=accuracy)}


def _hugging_face() -> dict[str, Entry]:
    # timm's fine-tuned R50x1 converted; the repository holds no safetensors file.
    config = variant("50x1", resolution=448, weight_epsilon=_TORCH_EPSILON)
    weights = "hf://google/bit-50/pytorch_model.bin"
    return {"google/bit-50": _entry(config, _cropped(448, 448), weights=weights, accuracy=_measured("50x1"))}


ENTRIES = {**_authors_files(), **_timm(), **_hugging_face()}
