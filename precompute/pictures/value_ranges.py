"""From pixel values 0..255 to what a tower expects, as a table of the 256 values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


def _as_floats(value_range: Scale | Standardise) -> None:
    """Makes 127 and 127.0, lists and tuples the same, so that equal ranges have one JSON and one fingerprint."""
    for field in dataclasses.fields(value_range):
        value = getattr(value_range, field.name)
        number = float(value) if isinstance(value, (int, float)) else tuple(float(part) for part in value)
        object.__setattr__(value_range, field.name, number)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """Values 0..255 become `low`..`high`: x / 255 * (high - low) + low."""

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self):
        _as_floats(self)
        if not self.low < self.high:
            raise ValueError(f"preprocessing: value range low must be < high, got {self.low} and {self.high}")

    def table(self) -> np.ndarray:
        """Returns [256, 1] float32: the value of each of the 256 pixel values."""
        values = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
        # The width is taken in float64 and rounded once, as TensorFlow does with Python numbers.
        return np.float32(self.low) + values * np.float32(self.high - self.low)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standardise:
    """(x - mean) / deviation per channel, x in 0..255: mean and deviation are in units of pixel values."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __post_init__(self):
        _as_floats(self)
        if len(self.mean) != 3 or len(self.deviation) != 3:
            raise ValueError(f"preprocessing: mean and deviation need 3 values each, got {self.mean}, {self.deviation}")
        if not min(self.deviation) > 0:
            raise ValueError(f"preprocessing: deviation must be > 0, got {self.deviation}")

    @classmethod
    def of_unit_range(cls, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Standardise:
        """Returns it from a mean and deviation of values 0..1, as torch's models state them."""
        red, green, blue = ((255 * a, 255 * b) for a, b in zip(mean, deviation, strict=True))
        return cls(mean=(red[0], green[0], blue[0]), deviation=(red[1], green[1], blue[1]))

    def table(self) -> np.ndarray:
        """Returns [256, 3] float32: the value of each of the 256 pixel values in each channel."""
        values = np.arange(256, dtype=np.float32)[:, None]
        return (values - np.asarray(self.mean, np.float32)) / np.asarray(self.deviation, np.float32)


ValueRange = Scale | Standardise
# big_vision's.
SIGNED_RANGE = Scale()
# The means and deviations that torch's models of ImageNet, and CLIP, were trained with, of values 0..1.
IMAGENET_RANGE = Standardise.of_unit_range((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP_RANGE = Standardise.of_unit_range((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
VALUE_RANGES: Mapping[str, type[Scale] | type[Standardise]] = {"scale": Scale, "standardise": Standardise}
