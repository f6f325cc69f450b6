"""An AIMv2 model's parameters, under names in big_vision's style, and its positions."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32, Shaped

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.aimv2.config import AIMv2Config
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.image.vit.positions import resize_positions
from lit_precompute.towers.weights.links import Arrays

PATCH_NORM, LAST_NORM = "patch_norm", "Transformer/encoder_norm"
HEAD = "MAPHead_0"


def parameter_shapes(config: AIMv2Config) -> Shapes:
    """Returns the shapes by name."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {
        "embedding/kernel": (patch, patch, 3, width),
        "embedding/bias": (width,),
        f"{PATCH_NORM}/scale": (width,),
    }
    if config.positions == "learned":
        shapes["pos_embedding"] = (1, config.grid**2, width)
    for number in range(config.depth):
        shapes |= _block_shapes(config, block_name(number))
    return shapes | {f"{LAST_NORM}/scale": (width,)} | _head_shapes(config)


def _block_shapes(config: AIMv2Config, block: str) -> Shapes:
    width, hidden, heads = config.width, config.mlp_width, config.num_heads
    attention, mlp = f"{block}/{ATTENTION}", f"{block}/MlpBlock_0"
    return {
        f"{block}/RMSNorm_0/scale": (width,),
        **{f"{attention}/{part}/kernel": (width, heads, width // heads) for part in ("query", "key", "value")},
        f"{attention}/out/kernel": (heads, width // heads, width),
        f"{block}/RMSNorm_1/scale": (width,),
        f"{mlp}/Gate/kernel": (width, hidden),
        f"{mlp}/Dense_0/kernel": (width, hidden),
        f"{mlp}/Dense_1/kernel": (hidden, width),
    }


def _head_shapes(config: AIMv2Config) -> Shapes:
    if config.pooling == "average":
        return {}
    width = config.width
    shapes: Shapes = {
        f"{HEAD}/probe": (1, 1, width),
        f"{HEAD}/key/kernel": (width, width),
        f"{HEAD}/value/kernel": (width, width),
        f"{HEAD}/out/kernel": (width, width),
        f"{HEAD}/out/bias": (width,),
    }
    return shapes | ({"head/kernel": (width, config.projection_width)} if config.pooling == "projection" else {})


def fit(config: AIMv2Config, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the parameters with learned positions for the configuration's grid.

    Only timm resizes them; Apple's and transformers' code has one resolution. Source: timm, layers/pos_embed.py.
    """
    table = parameters.get("pos_embedding")
    if table is None or table.ndim != 3 or table.shape[0] != 1:
        return {}  # `match_shapes` names the fault
    num_patches = table.shape[1]
    if num_patches < 1 or math.isqrt(num_patches) ** 2 != num_patches or num_patches == config.grid**2:
        return {}
    resized = resize_positions(table.astype(np.float32), config.grid, "bicubic_antialias")
    return {"pos_embedding": resized}


def sines(config: AIMv2Config) -> Float32[np.ndarray, "1 patches {config.width}"]:
    """Returns the table of sines and cosines, of columns before rows.

    Source: apple/ml-aim, aim-v1/aim/v1/torch/layers.py, `SinCosPosEmbed`, whose "h" is the column.
    """
    quarter = config.width // 4
    frequencies = 10_000.0 ** -(np.arange(quarter) / quarter)
    rows, columns = np.mgrid[: config.grid, : config.grid].reshape(2, -1, 1) * frequencies
    table = np.concatenate([np.sin(columns), np.cos(columns), np.sin(rows), np.cos(rows)], axis=1)
    return table.astype(np.float32)[None]
