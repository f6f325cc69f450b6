"""The parameters of a Vision Transformer of DINOv3, under the names that the family `vit` has for the same layers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.dinov3.config import DINOv3Config
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.weights.links import Arrays


def parameter_shapes(config: DINOv3Config) -> Shapes:
    """Returns the shapes by name."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {
        "embedding/kernel": (patch, patch, 3, width),
        "embedding/bias": (width,),
        "cls": (1, 1, width),
        "registers": (1, config.num_registers, width),
    }
    for number in range(config.depth):
        shapes |= block_shapes(config, block_name(number))
    return shapes | _norm(config, "Transformer/encoder_norm")


def block_shapes(config: DINOv3Config, block: str) -> Shapes:
    """Returns the shapes of one block's parameters."""
    width, hidden, attention, mlp = config.width, config.mlp_width, f"{block}/{ATTENTION}", f"{block}/MlpBlock_0"
    heads = (config.num_heads, config.head_width)
    shapes = _norm(config, f"{block}/LayerNorm_0")
    for part, has_bias in (("query", config.query_bias), ("key", config.key_bias), ("value", config.value_bias)):
        shapes |= {f"{attention}/{part}/kernel": (width, *heads)}
        shapes |= {f"{attention}/{part}/bias": heads} if has_bias else {}
    shapes |= {f"{attention}/out/kernel": (*heads, width), f"{attention}/out/bias": (width,)}
    shapes |= {f"{block}/LayerScale_0": (width,)} | _norm(config, f"{block}/LayerNorm_1")
    for layer in ("Gate", "Dense_0") if config.gated_mlp else ("Dense_0",):
        shapes |= {f"{mlp}/{layer}/kernel": (width, hidden), f"{mlp}/{layer}/bias": (hidden,)}
    shapes |= {f"{mlp}/Dense_1/kernel": (hidden, width), f"{mlp}/Dense_1/bias": (width,)}
    return shapes | {f"{block}/LayerScale_1": (width,)}


def _norm(config: DINOv3Config, name: str) -> Shapes:
    return {f"{name}/scale": (config.width,), f"{name}/bias": (config.width,)}


def fit(config: DINOv3Config, parameters: Arrays) -> dict[str, None]:
    """Leaves out biases of keys that are zero, which the authors' files have beside the others.

    One that is not zero stays, so that `match_shapes` names it.
    """
    extra = [] if config.key_bias else list(_key_biases(config))
    return {name: None for name in extra if name in parameters and not np.any(parameters[name])}


def _key_biases(config: DINOv3Config) -> Iterator[str]:
    for number in range(config.depth):
        yield f"{block_name(number)}/{ATTENTION}/key/bias"
