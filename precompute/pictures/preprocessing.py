"""Preprocessing: what happens between a decoded picture and a tower, as declared data.

Promises: `prepare` (host) and `normalise` (device) give, byte for byte, what big_vision's `resize`, `resize_small`,
`central_crop`, `value_range` and `vgg_value_range` give, because the host part calls the same TensorFlow kernels and
the device part looks the 256 possible values up in a table that NumPy computed in float32. A `Preprocessing` is plain
data: it is part of a tower's fingerprint, and its JSON reads back to an equal object; unknown keys are errors.

Not here: bytes to pixels (`decoding`), and random crops or flips (views are embedded as tables of their own).

Source: github.com/google-research/big_vision, big_vision/pp/ops_image.py and ops_general.py (2024).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from precompute.pictures.decoding import MAX_PIXELS, JpegDecoding, PictureError, decode
from precompute.pictures.resizing import Method, resize, resize_with_pillow
from precompute.pictures.value_ranges import SIGNED_RANGE, VALUE_RANGES, ValueRange

Resize = Literal["square", "short_side"]
Crop = Literal["none", "central"]
Resampler = Literal["tensorflow", "pillow"]

# A one-pixel-high strip scaled to a short side of 256 would be 65,536 times its size: refuse before it is made.
_MAX_RESIZED_PIXELS = 1 << 26


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a tower expects of its pictures.

    Attributes:
      size: side of the square picture that the tower sees.
      resize: "square" squashes to resize_size x resize_size; "short_side" keeps the aspect ratio and brings the
        shorter side to resize_size.
      resize_size: see `resize`. None: the same as `size`.
      method: how to resize. "area" averages.
      antialias: widen the filter when scaling down; not for "area", which has no such choice.
      resampler: "tensorflow" gives the bytes of big_vision's tf.image.resize with its cast, which truncates; "pillow"
        those of torchvision's and Hugging Face's Image.resize, which always antialiases and rounds.
      crop: "central" cuts size x size from the middle (offset rounded down); "none" takes the resized picture whole.
      value_range: from 0..255 to what the tower expects.
      jpeg: "fast" decodes JPEGs as tf.io.decode_image does (big_vision), "accurate" as Pillow does (torch).
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

    def __post_init__(self):
        if self.resize_size is None:
            object.__setattr__(self, "resize_size", self.size)
        _check(self)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; `from_json` reads it back to an equal object."""
        plain = dataclasses.asdict(self)
        kind = next(name for name, made in VALUE_RANGES.items() if isinstance(self.value_range, made))
        values = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self.value_range).items()
        }
        return {**plain, "value_range": {"kind": kind, **values}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Reads what `to_json` gave.

        Raises:
          ValueError: a key is unknown or missing, or a value is outside what is declared above.
        """
        _check_keys("preprocessing", data, [field.name for field in dataclasses.fields(cls)])
        values = dict(data["value_range"])
        kind = values.pop("kind", None)
        if kind not in VALUE_RANGES:
            raise ValueError(f"preprocessing.value_range: kind must be one of {sorted(VALUE_RANGES)}, got {kind!r}")
        made = VALUE_RANGES[kind]
        _check_keys("preprocessing.value_range", values, [field.name for field in dataclasses.fields(made)])
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**{**data, "value_range": made(**values)})


def _check_keys(where: str, data: Mapping[str, Any], expected: list[str]) -> None:
    unknown, missing = sorted(set(data) - set(expected)), sorted(set(expected) - set(data))
    if unknown or missing:
        raise ValueError(f"{where}: unknown keys {unknown}, missing keys {missing}; the keys are {sorted(expected)}")


_CHOICES = (("resize", Resize), ("method", Method), ("resampler", Resampler), ("crop", Crop), ("jpeg", JpegDecoding))


def _check(preprocessing: Preprocessing) -> None:
    """Refuses what no picture could be prepared by."""
    for name, choices in _CHOICES:
        value = getattr(preprocessing, name)
        if value not in get_args(choices):
            raise ValueError(f"preprocessing.{name} must be one of {list(get_args(choices))}, got {value!r}")
    size, resized = preprocessing.size, preprocessing.resize_size
    assert resized is not None
    if size < 1 or resized < 1:
        raise ValueError(f"preprocessing: size and resize_size must be >= 1, got {size} and {resized}")
    if preprocessing.crop == "none" and (preprocessing.resize != "square" or size != resized):
        raise ValueError(
            f"preprocessing: without a crop the resize must be to the square of size {size}, "
            f"got {preprocessing.resize!r} to {resized}; set crop='central'"
        )
    if resized < size:
        raise ValueError(f"preprocessing: crop {size} must be <= resize_size, got {resized}")
    if preprocessing.method == "area" and preprocessing.antialias:
        raise ValueError("preprocessing: method 'area' averages already; set antialias=False")
    if preprocessing.resampler == "pillow" and preprocessing.method != "area" and not preprocessing.antialias:
        raise ValueError("preprocessing: Pillow always antialiases; set antialias=True or resampler='tensorflow'")


def load(data: bytes, preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Returns an encoded picture decoded and prepared: uint8 [size, size, 3]. Threads may call it at once.

    Raises:
      PictureError: the bytes are no picture that can be taken; its `reason` says why.
    """
    return prepare(decode(data, max_pixels=max_pixels, jpeg=preprocessing.jpeg), preprocessing)


def prepare(image: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Returns a decoded picture (uint8 [h, w, 3]) resized and cropped: uint8 [size, size, 3].

    Raises:
      PictureError: "too-large", the picture is so narrow that keeping its aspect ratio needs over 2**26 pixels.
    """
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, (image.dtype, image.shape)
    height, width = _resized_shape(image.shape[0], image.shape[1], preprocessing)
    if height * width > _MAX_RESIZED_PIXELS:
        raise PictureError(
            "too-large",
            f"{image.shape[1]} x {image.shape[0]} pixels with the short side brought to {preprocessing.resize_size} "
            f"are {width} x {height}; at most {_MAX_RESIZED_PIXELS:,} pixels are made",
        )
    if preprocessing.resampler == "pillow":
        resized = resize_with_pillow(image, height, width, preprocessing.method)
    else:
        resized = resize(image, height, width, method=preprocessing.method, antialias=preprocessing.antialias)
    if preprocessing.crop == "none":
        return resized
    size = preprocessing.size
    top, left = (height - size) // 2, (width - size) // 2
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def _resized_shape(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Returns (height, width) after the resize; TensorFlow's in the float32 arithmetic of big_vision's resize_small."""
    side = preprocessing.resize_size
    assert side is not None
    if preprocessing.resize == "square":
        return side, side
    if preprocessing.resampler == "pillow":
        # torchvision and Hugging Face: the long side in whole numbers, rounded down.
        short = min(height, width)
        return side * height // short, side * width // short
    factor = np.float32(side) / np.float32(min(height, width))
    return int(np.rint(np.float32(height) * factor)), int(np.rint(np.float32(width) * factor))


def normalise(preprocessing: Preprocessing, images: jax.Array) -> jax.Array:
    """Returns float32 [n, h, w, 3] in the tower's value range, from uint8 [n, h, w, 3]; for use inside `jax.jit`.

    A table look-up, because arithmetic would not be exact: XLA multiplies by 1/255 where TensorFlow divides by 255
    and fuses the multiply with the add, which changes the last bit of 205 of the 256 values of -1..1. On 2 CPU cores
    the look-up also took 0.7 times the time of the arithmetic.
    """
    table = preprocessing.value_range.table()
    # uint8 cannot leave the table, so that no bounds are checked.
    look_up = lambda values, channel: jnp.asarray(table[:, channel]).at[values].get(mode="promise_in_bounds")  # noqa: E731
    if table.shape[1] == 1:
        return look_up(images, 0)
    return jnp.stack([look_up(images[..., channel], channel) for channel in range(3)], axis=-1)
