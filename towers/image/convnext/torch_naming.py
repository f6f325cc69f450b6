"""The names that ConvNeXts have in files: Hugging Face's, timm's, and those of the authors' repositories.

Source: the state_dicts of transformers 5, timm 1 (timm/models/convnext.py), and the authors' repositories:
facebookresearch/{ConvNeXt,ConvNeXt-V2,dinov3}.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.convnext.config import ConvNeXtConfig, block_name, parameter_shapes
from lit_precompute.towers.weights.links import Link, kernel_link, link
from lit_precompute.towers.weights.naming import Naming

# timm computes the 1x1 layers of its small networks (nano and below) as convolutions, so its files have kernels
# [outputs, inputs, 1, 1] for them.
_WIDEST_STEM_OF_TIMMS_SMALL_NETWORKS = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """One kind of file: the names of layers, followed by `.weight` and `.bias` except for `layer_scale`.

    Attributes:
      name: see `Naming`, as `roots`, `dropped`, `spellings` and `copies`.
      stem, stem_norm, last_norm: layers outside the stages.
      downsample: the norm and the layer before a stage, by its number.
      block: prefix of a block's layers, by stage and number.
      layers: a block's layers by our names.
      response_norm: the names of that layer's two arrays, after the layer's name.
      response_norm_axes: number of axes of size one before their width.
    """

    name: str
    stem: str
    stem_norm: str
    last_norm: str
    downsample: tuple[str, str]
    block: str
    layers: dict[str, str]
    layer_scale: str
    response_norm: tuple[str, str] = ("weight", "bias")
    response_norm_axes: int = 3
    roots: tuple[str, ...] = ()
    dropped: tuple[str, ...]
    spellings: tuple[tuple[str, str], ...] = ()
    copies: tuple[tuple[str, tuple[str, ...]], ...] = ()


_HUGGING_FACE = _Table(
    name="Hugging Face ConvNeXt",
    stem="embeddings.patch_embeddings",
    stem_norm="embeddings.layernorm",
    last_norm="layernorm",
    downsample=("encoder.stages.{}.downsampling_layer.0", "encoder.stages.{}.downsampling_layer.1"),
    block="encoder.stages.{}.layers.{}.",
    layers={"depthwise": "dwconv", "norm": "layernorm", "expand": "pwconv1", "response_norm": "grn"}
    | {"project": "pwconv2"},
    layer_scale="layer_scale_parameter",
    roots=("convnext.", "convnextv2."),
    dropped=(r"classifier\..*", r"layernorm\..*"),
)
_DINOV3 = _Table(
    name="Hugging Face DINOv3 ConvNeXt",
    stem="stages.0.downsample_layers.0",
    stem_norm="stages.0.downsample_layers.1",
    last_norm="layer_norm",
    downsample=("stages.{}.downsample_layers.0", "stages.{}.downsample_layers.1"),
    block="stages.{}.layers.{}.",
    layers={"depthwise": "depthwise_conv", "norm": "layer_norm", "expand": "pointwise_conv1"}
    | {"project": "pointwise_conv2"},
    layer_scale="gamma",
    dropped=(r"layer_norm\..*",),
    # What the modules are called since transformers 5, which still saves the names above.
    spellings=((r"^model\.", ""),),
)
_TIMM = _Table(
    name="timm",
    stem="stem.0",
    stem_norm="stem.1",
    last_norm="head.norm",
    downsample=("stages.{}.downsample.0", "stages.{}.downsample.1"),
    block="stages.{}.blocks.{}.",
    layers={"depthwise": "conv_dw", "norm": "norm", "expand": "mlp.fc1", "response_norm": "mlp.grn"}
    | {"project": "mlp.fc2"},
    layer_scale="gamma",
    response_norm_axes=0,
    dropped=(r"head\.(fc|norm)\..*",),
)
_AUTHORS = _Table(
    name="ConvNeXt's authors",
    stem="downsample_layers.0.0",
    stem_norm="downsample_layers.0.1",
    last_norm="norm",
    downsample=("downsample_layers.{}.0", "downsample_layers.{}.1"),
    block="stages.{}.{}.",
    layers={"depthwise": "dwconv", "norm": "norm", "expand": "pwconv1", "response_norm": "grn"}
    | {"project": "pwconv2"},
    layer_scale="gamma",
    response_norm=("gamma", "beta"),
    dropped=(r"head\..*", r"norm\..*"),
    # In DINOv3's files the last norm is one of a list, too.
    copies=(("norm.weight", ("norms.3.weight",)), ("norm.bias", ("norms.3.bias",))),
)


def namings(config: ConvNeXtConfig) -> list[Naming]:
    """Returns the kinds of files, Hugging Face's first."""
    return [
        Naming(
            name=table.name,
            links=list(_links(table, config)),
            roots=table.roots,
            dropped=table.dropped,
            spellings=table.spellings,
            copies=table.copies,
        )
        for table in (_HUGGING_FACE, _DINOV3, _TIMM, _AUTHORS)
        if not config.response_norm or "response_norm" in table.layers
    ]


def _links(table: _Table, config: ConvNeXtConfig) -> Iterator[Link]:
    shapes = parameter_shapes(config)
    as_convolutions = table is _TIMM and config.widths[0] <= _WIDEST_STEM_OF_TIMMS_SMALL_NETWORKS
    yield from _layer(table.stem, "stem", shapes)
    yield from _norm(table.stem_norm, "stem_norm")
    for stage in range(1, len(config.widths)):
        norm, layer = (name.format(stage) for name in table.downsample)
        yield from _norm(norm, f"stage_{stage}/downsample_norm")
        yield from _layer(layer, f"stage_{stage}/downsample", shapes)
    for place in config.blocks():
        theirs, ours = table.block.format(*place), block_name(*place)
        for name, layer in table.layers.items():
            if name == "norm":
                yield from _norm(theirs + layer, f"{ours}/{name}")
            elif name != "response_norm":
                yield from _layer(theirs + layer, f"{ours}/{name}", shapes, as_convolution=as_convolutions)
        if config.response_norm:
            yield from _response_norm(table, theirs + table.layers["response_norm"], f"{ours}/response_norm", shapes)
        if config.layer_scale:
            yield link(theirs + table.layer_scale, f"{ours}/layer_scale")
    if config.pooling == "average":
        yield from _norm(table.last_norm, "norm")


def _norm(theirs: str, ours: str) -> Iterator[Link]:
    yield link(f"{theirs}.weight", f"{ours}/scale")
    yield link(f"{theirs}.bias", f"{ours}/bias")


def _layer(theirs: str, ours: str, shapes: Shapes, *, as_convolution: bool = False) -> Iterator[Link]:
    """Yields the links of a kernel and its bias."""
    shape = shapes[f"{ours}/kernel"]
    if len(shape) == 2 and not as_convolution:
        yield link(f"{theirs}.weight", f"{ours}/kernel", axes=(1, 0))
    else:
        yield kernel_link(f"{theirs}.weight", f"{ours}/kernel", shape)
    yield link(f"{theirs}.bias", f"{ours}/bias")


def _response_norm(table: _Table, theirs: str, ours: str, shapes: Shapes) -> Iterator[Link]:
    part_shape = (1,) * table.response_norm_axes + shapes[f"{ours}/scale"]
    for field, parameter in zip(table.response_norm, ("scale", "bias"), strict=True):
        yield link(f"{theirs}.{field}", f"{ours}/{parameter}", part_shape=part_shape)
