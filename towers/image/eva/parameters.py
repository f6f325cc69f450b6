"""The parameters of an EVA-02 or a Perception Encoder: named as a Vision Transformer's are (`vit.parameters`)."""

from __future__ import annotations

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.eva.config import EvaConfig
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name

LAST_NORM, PRE_NORM, MAP = "Transformer/encoder_norm", "Transformer/pre_norm", "MAPHead_0"


def parameter_shapes(config: EvaConfig) -> Shapes:
    """Returns the shapes by name; the first position is the class token's, if there is one."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {"embedding/kernel": (patch, patch, 3, width)}
    if not config.pre_norm:
        shapes["embedding/bias"] = (width,)
    if config.class_token:
        shapes["cls"] = (1, 1, width)
    shapes["pos_embedding"] = (1, config.class_token + config.grid**2, width)
    if config.pre_norm:
        shapes |= _norm(PRE_NORM, width)
    for number in range(config.depth):
        shapes |= _block(config, block_name(number))
    shapes |= _norm(LAST_NORM, width)
    if config.pooled == "map":
        shapes |= _map(config)
    if config.pooling == "projection":
        shapes |= _dense("head", width, config.projection_width, bias=config.projection_bias)
    return shapes


def _block(config: EvaConfig, block: str) -> Shapes:
    width, hidden = config.width, config.mlp_width
    mlp, attention = f"{block}/MlpBlock_0", f"{block}/{ATTENTION}"
    shapes = _norm(f"{block}/LayerNorm_0", width) | _norm(f"{block}/LayerNorm_1", width)
    shapes |= _attention(attention, width, config.num_heads, key_bias=config.key_bias)
    if config.attention_norm:
        shapes |= _norm(f"{attention}/LayerNorm_0", width)
    if config.activation == "swiglu":
        shapes |= _dense(f"{mlp}/Gate", width, hidden)
    shapes |= _dense(f"{mlp}/Dense_0", width, hidden) | _dense(f"{mlp}/Dense_1", hidden, width)
    return shapes | (_norm(f"{mlp}/LayerNorm_0", hidden) if config.mlp_norm else {})


def _map(config: EvaConfig) -> Shapes:
    width, mlp = config.width, f"{MAP}/MlpBlock_0"
    return {
        f"{MAP}/probe": (1, 1, width),
        **_attention(f"{MAP}/{ATTENTION}", width, config.map_heads, key_bias=True),
        **_norm(f"{MAP}/LayerNorm_0", width),
        **_dense(f"{mlp}/Dense_0", width, 4 * width),
        **_dense(f"{mlp}/Dense_1", 4 * width, width),
    }


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}


def _dense(name: str, inputs: int, outputs: int, *, bias: bool = True) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), **({f"{name}/bias": (outputs,)} if bias else {})}


def _attention(name: str, width: int, heads: int, *, key_bias: bool) -> Shapes:
    head_width = width // heads
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes[f"{name}/{part}/kernel"] = (width, heads, head_width)
        if part != "key" or key_bias:
            shapes[f"{name}/{part}/bias"] = (heads, head_width)
    return shapes | {f"{name}/out/kernel": (heads, head_width, width), f"{name}/out/bias": (width,)}
