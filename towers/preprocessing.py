"""Preprocessing, declared: what a tower expects of its images, as data.

Promises: a `Preprocessing` is part of a tower's fingerprint; its JSON reads back to an equal object, and unknown keys
are errors. Needs only NumPy.

Not here: carrying it out (`precompute.images`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32

from lit_precompute.towers.augmentation import Augmentation

Resize = Literal["square", "short_side"]
Crop = Literal["none", "central", "central_rounded"]
Resampler = Literal["tensorflow", "pillow", "torch"]
Method = Literal["bilinear", "bicubic", "area"]
JpegDecoding = Literal["fast", "accurate"]


def _as_floats(value_range: Scale | Standardise) -> None:
    """Converts numbers to floats and lists to tuples, so that equal ranges have one JSON and one fingerprint."""
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

    def of(self, pixels: Any) -> Any:
        """Returns the values of pixels, float32 [..., 3] of NumPy or JAX, by arithmetic."""
        # The width is computed in float64 and rounded once, as TensorFlow does with Python numbers.
        return np.float32(self.low) + pixels / np.float32(255) * np.float32(self.high - self.low)

    def table(self) -> Float32[np.ndarray, "256 1"]:
        """Returns the value of each of the 256 pixel values."""
        return self.of(np.arange(256, dtype=np.float32)[:, None])


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
        """Returns the range for a mean and deviation of values 0..1, as torch's models state them."""
        red, green, blue = ((255 * a, 255 * b) for a, b in zip(mean, deviation, strict=True))
        return cls(mean=(red[0], green[0], blue[0]), deviation=(red[1], green[1], blue[1]))

    def of(self, pixels: Any) -> Any:
        """Returns the values of pixels, float32 [..., 3] of NumPy or JAX, by arithmetic."""
        return (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.deviation, np.float32)

    def table(self) -> Float32[np.ndarray, "256 3"]:
        """Returns the value of each of the 256 pixel values in each channel."""
        return self.of(np.arange(256, dtype=np.float32)[:, None])


ValueRange = Scale | Standardise
# -1..1, as in big_vision.
SIGNED_RANGE = Scale()
# The means and deviations that torch's models of ImageNet, and CLIP, were trained with, of values 0..1.
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET_RANGE = Standardise.of_unit_range(IMAGENET_MEAN, IMAGENET_DEVIATION)
CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CLIP_RANGE = Standardise.of_unit_range(CLIP_MEAN, CLIP_DEVIATION)
VALUE_RANGES: Mapping[str, type[Scale] | type[Standardise]] = {"scale": Scale, "standardise": Standardise}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a tower expects of its images.

    Attributes:
      size: side of the square image that the tower takes.
      resize: "square" squashes to resize_size x resize_size; "short_side" keeps the aspect ratio and brings the
        shorter side to resize_size.
      resize_size: see `resize`. None: the same as `size`.
      method: filter of the resize; "area" averages.
      antialias: whether the filter widens when scaling down; "area" has no such choice.
      resampler: "tensorflow" gives the bytes of big_vision's tf.image.resize and its cast, which truncates; "pillow"
        those of torchvision's and Hugging Face's Image.resize, which always antialiases and rounds; "torch" resizes
        with Pillow's filters and keeps the fractions, as torchvision does with a tensor of floats.
      crop: "central" cuts size x size from the middle (offset rounded down); "central_rounded" does as torchvision does
        (offset rounded, halves to the even number); "none" keeps the whole resized image.
      value_range: from 0..255 to the values that the tower expects.
      jpeg: "fast" decodes JPEGs as tf.io.decode_image does (big_vision), "accurate" as Pillow does (torch).
      augmentation: of a random view, the part of the image that is taken before the resize, and the flip after it.
    """

    size: int
    resize: Resize = "square"
    resize_size: int | None = None
    method: Method = "bilinear"
    antialias: bool = False
    resampler: Resampler = "tensorflow"
    crop: Crop = "none"
    value_range: ValueRange = SIGNED_RANGE
    jpeg: JpegDecoding = "fast"
    augmentation: Augmentation | None = None

    def __post_init__(self):
        if self.resize_size is None:
            object.__setattr__(self, "resize_size", self.size)
        _check(self)

    @property
    def pixel_type(self) -> np.dtype[Any]:
        """The type of a prepared image's pixels, 0..255: uint8, or float32 where a resize is not rounded."""
        return np.dtype(np.float32 if self.resampler == "torch" else np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; `from_json` reads it back to an equal object."""
        plain = dataclasses.asdict(dataclasses.replace(self, augmentation=None))
        # Absent without one, as before there were any: no card changes.
        del plain["augmentation"]
        augmentation = {"augmentation": self.augmentation.to_json()} if self.augmentation else {}
        kind = next(name for name, made in VALUE_RANGES.items() if isinstance(self.value_range, made))
        values = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self.value_range).items()
        }
        return {**plain, "value_range": {"kind": kind, **values}, **augmentation}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Returns the preprocessing that `to_json` wrote.

        Raises:
          ValueError: a key is unknown or missing, or a value is not allowed.
        """
        names = [field.name for field in dataclasses.fields(cls) if field.name != "augmentation"]
        _check_keys("preprocessing", data, [*names, *({"augmentation"} & data.keys())])
        augmentation = Augmentation.from_json(data["augmentation"]) if "augmentation" in data else None
        values = dict(data["value_range"])
        kind = values.pop("kind", None)
        if kind not in VALUE_RANGES:
            raise ValueError(f"preprocessing.value_range: kind must be one of {sorted(VALUE_RANGES)}, got {kind!r}")
        made = VALUE_RANGES[kind]
        _check_keys("preprocessing.value_range", values, [field.name for field in dataclasses.fields(made)])
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        fields: dict[str, Any] = {**data, "value_range": made(**values), "augmentation": augmentation}
        return cls(**fields)

    def of_view(self, number: int) -> Preprocessing:
        """Returns the preprocessing of a random view of the image, as towers are trained on them (`augmentation`)."""
        augmentation = Augmentation(view=number)
        return dataclasses.replace(self, resize="square", resize_size=self.size, crop="none", augmentation=augmentation)


def _check_keys(where: str, data: Mapping[str, Any], expected: list[str]) -> None:
    unknown, missing = sorted(set(data) - set(expected)), sorted(set(expected) - set(data))
    if unknown or missing:
        raise ValueError(f"{where}: unknown keys {unknown}, missing keys {missing}; the keys are {sorted(expected)}")


_CHOICES = (("resize", Resize), ("method", Method), ("resampler", Resampler), ("crop", Crop), ("jpeg", JpegDecoding))


def _check(preprocessing: Preprocessing) -> None:
    """Raises unless the fields go together."""
    for name, choices in _CHOICES:
        value = getattr(preprocessing, name)
        if value not in get_args(choices):
            raise ValueError(f"preprocessing.{name} must be one of {list(get_args(choices))}, got {value!r}")
    size, resized = preprocessing.size, preprocessing.resize_size
    assert resized is not None
    if size < 1 or resized < 1:
        raise ValueError(f"preprocessing: size and resize_size must be >= 1, got {size} and {resized}")
    if preprocessing.augmentation and preprocessing.crop != "none":
        raise ValueError("preprocessing: a random view is a crop already; set crop='none'")
    if preprocessing.crop == "none" and (preprocessing.resize != "square" or size != resized):
        raise ValueError(
            f"preprocessing: without a crop the resize must be to the square of size {size}, "
            f"got {preprocessing.resize!r} to {resized}; set crop='central'"
        )
    if resized < size:
        raise ValueError(f"preprocessing: crop {size} must be <= resize_size, got {resized}")
    if preprocessing.method == "area" and preprocessing.antialias:
        raise ValueError("preprocessing: method 'area' already averages; set antialias=False")
    if preprocessing.resampler == "torch" and preprocessing.method == "area":
        raise ValueError("preprocessing: torch has no antialiased method 'area'; choose another, or resampler='pillow'")
    if preprocessing.resampler != "tensorflow" and preprocessing.method != "area" and not preprocessing.antialias:
        raise ValueError(
            f"preprocessing: resampler {preprocessing.resampler!r} always antialiases; set antialias=True or "
            "resampler='tensorflow'"
        )
