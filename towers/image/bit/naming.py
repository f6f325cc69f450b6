"""The names that a BiT's parameters have in files.

Promises: the authors' `.npz` (TensorFlow's names, also with a running number in its layers), big_vision's own, Hugging
Face's BitModel and timm's ResNetV2, each read without loss. Dropped by rule: the classifier.

Source: github.com/google-research/big_transfer, bit_pytorch/models.py; google-research/big_vision,
big_vision/models/bit_paper.py; the state_dicts of transformers 5 and timm 1.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

from lit_precompute.towers.image.bit.config import BiTConfig, Unit, parameter_shapes, units
from lit_precompute.towers.weights.links import Link, kernel_link, link
from lit_precompute.towers.weights.naming import BIG_VISION_ROOTS, Naming


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """One kind of file.

    Attributes:
      unit: from a unit to the prefix of its layers.
      layers: from our layer to the file's, after the unit's prefix; the root and the last norm have none.
      kernel, scale, bias: what follows a layer's name.
      make_link: (file's name, our name, our shape) -> the array's layout in the file.
    """

    name: str
    unit: Callable[[Unit], str]
    layers: Mapping[str, str]
    kernel: str
    scale: str
    bias: str
    make_link: Callable[[str, str, tuple[int, ...]], Link]
    roots: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()


def _tensorflow_link(file: str, ours: str, shape: tuple[int, ...]) -> Link:
    """Returns the link of a kernel like ours, except that a 1x1 kernel keeps its two axes of size one."""
    return link(file, ours, part_shape=(1, 1, *shape)) if len(shape) == 2 else link(file, ours)


def _big_vision_link(file: str, ours: str, shape: tuple[int, ...]) -> Link:
    """Returns the link of TensorFlow's layout; a norm's vectors have three more axes of size one."""
    return link(file, ours, part_shape=(1, 1, 1, *shape)) if len(shape) == 1 else _tensorflow_link(file, ours, shape)


_TENSORFLOW_LAYERS = {
    "root_block/conv_root": "resnet/root_block/standardized_conv2d",
    "conv_proj": "a/proj/standardized_conv2d",
    **{f"conv{number}": f"{letter}/standardized_conv2d" for number, letter in enumerate("abc", 1)},
    **{f"gn{number}": f"{letter}/group_norm" for number, letter in enumerate("abc", 1)},
    "norm-pre-head": "resnet/group_norm",
}
_TENSORFLOW = _Table(
    name="the authors' npz",
    unit=lambda unit: f"resnet/{unit.name}/",
    layers=_TENSORFLOW_LAYERS,
    kernel="/kernel",
    scale="/gamma",
    bias="/beta",
    make_link=_tensorflow_link,
    dropped=(r"resnet/head/.*",),
    spellings=((r"/standardized_conv2d_\d+/", "/standardized_conv2d/"),),
)
_BIG_VISION = _Table(
    name="big_vision",
    unit=lambda unit: f"{unit.name}/",
    layers={name: name for name in _TENSORFLOW_LAYERS},
    kernel="/kernel",
    scale="/scale",
    bias="/bias",
    make_link=_big_vision_link,
    roots=BIG_VISION_ROOTS,
    dropped=(r"head/.*",),
)
_TORCH_LAYERS = {
    **{f"conv{number}": f"conv{number}" for number in (1, 2, 3)},
    **{f"gn{number}": f"norm{number}" for number in (1, 2, 3)},
    "conv_proj": "downsample.conv",
    "norm-pre-head": "norm",
}
_TORCH = functools.partial(_Table, kernel=".weight", scale=".weight", bias=".bias", make_link=kernel_link)
_TABLES = (
    _TENSORFLOW,
    _BIG_VISION,
    _TORCH(
        name="Hugging Face BiT",
        unit=lambda unit: f"encoder.stages.{unit.block}.layers.{unit.row}.",
        layers={**_TORCH_LAYERS, "root_block/conv_root": "embedder.convolution"},
        roots=("bit.",),
        dropped=(r"classifier\..*",),
    ),
    _TORCH(
        name="timm",
        unit=lambda unit: f"stages.{unit.block}.blocks.{unit.row}.",
        layers={**_TORCH_LAYERS, "root_block/conv_root": "stem.conv"},
        dropped=(r"head\..*",),
    ),
)


def namings(config: BiTConfig) -> list[Naming]:
    """Returns the kinds of files that hold a BiT of this configuration."""
    return [
        Naming(
            name=table.name,
            links=list(_links(table, config)),
            roots=table.roots,
            dropped=table.dropped,
            spellings=table.spellings,
        )
        for table in _TABLES
    ]


def _links(table: _Table, config: BiTConfig) -> Iterator[Link]:
    prefixes = {unit.name: table.unit(unit) for unit in units(config)}
    for ours, shape in parameter_shapes(config).items():
        layer, field = ours.rsplit("/", 1)
        unit, _, inner = layer.rpartition("/")
        file = prefixes[unit] + table.layers[inner] if unit in prefixes else table.layers[layer]
        yield table.make_link(file + getattr(table, field), ours, shape)
