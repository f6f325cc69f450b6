"""Random views, drawn: which part of an image is taken, and whether it is mirrored.

Promises: what is drawn is a pure function of the row's key, the view's number and the image's height and width, on
every machine and with every version of every library: the random numbers are SHA-256 of key and view, and what is
computed of them is rounded as IEEE 754 says. So any attempt at a unit gives the same bytes.

TensorFlow promises as much within one version only, so that it serves as a reference for the distribution in tests.

Source: github.com/google-research/big_vision, `inception_crop` of pp/ops_image.py, which is tf.image's
sample_distorted_bounding_box (2024). It differs in one point: a crop may touch the image's last row and column, too.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from lit_precompute.towers.augmentation import Augmentation

# Of an image so narrow that hardly any crop fits, the whole is taken.
_MAX_ATTEMPTS = 100


class DrawnView(NamedTuple):
    """A part of an image, in pixels, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    is_flipped: bool


def draw_view(key: str, height: int, width: int, augmentation: Augmentation) -> DrawnView:
    """Returns the view of the image of this size in the row of this key."""
    numbers = _uniform_numbers(key, augmentation.view)
    is_flipped = next(numbers) < augmentation.flip
    for _ in range(_MAX_ATTEMPTS):
        if crop := _draw_size(height, width, numbers, augmentation):
            crop_height, crop_width = crop
            top = _draw_whole(numbers, height - crop_height)
            left = _draw_whole(numbers, width - crop_width)
            return DrawnView(top, left, crop_height, crop_width, is_flipped)
    return DrawnView(0, 0, height, width, is_flipped)


def _uniform_numbers(key: str, view: int) -> Iterator[float]:
    """Yields independent numbers, uniform in [0, 1), four of each hash."""
    count = 0
    while True:
        digest = hashlib.sha256(f"{view}/{count}/{key}".encode()).digest()
        yield from ((number >> 11) * 2.0**-53 for number in struct.unpack("<4Q", digest))
        count += 1


def _draw_whole(numbers: Iterator[float], most: int) -> int:
    """Returns one of the whole numbers from 0 to `most`, all with the same probability."""
    return int(next(numbers) * (most + 1))


def _draw_size(height: int, width: int, numbers: Iterator[float], augmentation: Augmentation) -> tuple[int, int] | None:
    """Returns the height and width of a crop; None if none of the aspect that is drawn fits."""
    least, most = (share * height * width for share in augmentation.area)
    narrowest, widest = augmentation.aspect
    aspect = narrowest + next(numbers) * (widest - narrowest)
    lowest = round(math.sqrt(least / aspect))
    highest = min(round(math.sqrt(most / aspect)), height, math.floor((width + 0.5) / aspect))
    if round(highest * aspect) > width:  # halves are rounded to even
        highest -= 1
    crop_height = highest if lowest >= highest else lowest + _draw_whole(numbers, highest - lowest)
    # Rounding to pixels may have left the areas that are allowed: a pixel more or less may be within them.
    if crop_height * round(crop_height * aspect) < least:
        crop_height += 1
    if crop_height * round(crop_height * aspect) > most:
        crop_height -= 1
    crop_width = round(crop_height * aspect)
    fits = 0 < crop_height <= height and 0 < crop_width <= width
    return (crop_height, crop_width) if fits and least <= crop_height * crop_width <= most else None
