"""Descriptions of image towers for people who have no weights yet: sizes, preprocessing, published accuracy, files.

Promises: a description is plain data, for a table, a card or JSON; nothing is loaded.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.preprocessing import Preprocessing, Scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a tower was on some devices.

    Attributes:
      images_per_second: of the tower alone, on all of the devices.
      batch_size: images per batch.
      device: their kind.
      num_devices: how many there were.
      compute_type: type of the activations.
    """

    images_per_second: float
    batch_size: int
    device: str
    num_devices: int
    compute_type: ComputeType


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """An image tower that has a name.

    Attributes:
      name: under which it is registered.
      family: its architecture's name.
      embedding: width of the embedding by pooling, the default one first.
      num_parameters: of the part that is used with the default pooling; statistics are not counted.
      resolution: side of the images in pixels.
      images: how images are preprocessed, in words.
      accuracy: what its authors report, in words; "" where nothing comparable is published.
      weights: where its weights are published; "" for a bare architecture.
      weights_sha256: of that file, where it is known.
      architecture: the configuration.
      preprocessing: as data.
      flops: floating-point operations for one image, a multiply-add being two (`towers.cost`); None: not counted.
      speed: what was measured on this machine; None: nothing was.
    """

    name: str
    family: str
    embedding: dict[str, int]
    num_parameters: int
    resolution: int
    images: str
    accuracy: str
    weights: str
    weights_sha256: str
    architecture: dict[str, Any]
    preprocessing: dict[str, Any]
    flops: int | None = None
    speed: Speed | None = None

    @property
    def width(self) -> int:
        """Width of the default embedding."""
        return next(iter(self.embedding.values()))


def describe(name: str, entry: Entry) -> Description:
    """Returns the description of a registered image tower."""
    shapes = entry.family.parameter_shapes(entry.config)
    counted = (math.prod(shape) for key, shape in shapes.items() if not entry.family.is_statistic(key))
    return Description(
        name=name,
        family=entry.family.name,
        embedding=_widths(entry),
        num_parameters=sum(counted),
        resolution=entry.config.resolution,
        images=in_words(entry.preprocessing),
        accuracy=entry.accuracy,
        weights=entry.weights,
        weights_sha256=entry.weights_sha256,
        architecture=entry.config.to_json(),
        preprocessing=entry.preprocessing.to_json(),
    )


def _widths(entry: Entry) -> dict[str, int]:
    """Returns the width by pooling, for every pooling that the tower supports."""
    config = entry.config
    widths = {config.pooling: config.output_width}
    for pooling in entry.family.poolings:
        try:
            widths.setdefault(pooling, dataclasses.replace(config, pooling=pooling).output_width)
        except ValueError:
            continue  # this tower has no such value: no class token, no projection
    return widths


def in_words(preprocessing: Preprocessing) -> str:
    """Returns the preprocessing of an image in one line."""
    size, resized = preprocessing.size, preprocessing.resize_size
    method = preprocessing.method + (", antialias" if preprocessing.antialias else "")
    if preprocessing.resize == "square":
        words = f"squeezed to {resized} x {resized} ({method}, {preprocessing.resampler})"
    else:
        words = f"short side to {resized} ({method}, {preprocessing.resampler})"
    if preprocessing.crop != "none":
        words += f", the middle {size} x {size}"
    values = preprocessing.value_range
    if isinstance(values, Scale):
        return f"{words}, values {values.low:g} to {values.high:g}"
    mean, deviation = (", ".join(f"{part / 255:.4g}" for part in three) for three in (values.mean, values.deviation))
    return f"{words}, of values 0 to 1 mean ({mean}) and deviation ({deviation})"
