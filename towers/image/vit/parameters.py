"""A Vision Transformer's parameters: big_vision's names and layouts, and names in its style for what it lacks."""

from __future__ import annotations

import dataclasses

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.vit.config import ViTConfig
from lit_precompute.towers.weights.links import Arrays

ATTENTION = "MultiHeadDotProductAttention_0"


def block_name(number: int) -> str:
    """Returns the prefix of a block's parameters."""
    return f"Transformer/encoderblock_{number}"


def parameter_shapes(config: ViTConfig) -> Shapes:
    """Returns the shapes by name; the first position is the class token's, if there is one."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {"embedding/kernel": (patch, patch, 3, width)}
    if config.patch_bias:
        shapes["embedding/bias"] = (width,)
    if config.class_token:
        shapes["cls"] = (1, 1, width)
    if config.num_registers:
        shapes["registers"] = (1, config.num_registers, width)
    shapes["pos_embedding"] = (1, config.class_token + config.grid**2, width)
    if config.pre_norm:
        shapes |= _norm(config, "Transformer/pre_norm")
    for number in range(config.depth):
        shapes |= block_shapes(config, block_name(number))
    return shapes | _norm(config, "Transformer/encoder_norm") | _head_shapes(config)


def block_shapes(config: ViTConfig, block: str) -> Shapes:
    """Returns the shapes of one block's parameters."""
    shapes: Shapes = {
        **_norm(config, f"{block}/LayerNorm_0"),
        **_attention(config, f"{block}/{ATTENTION}"),
        **_norm(config, f"{block}/LayerNorm_1"),
        **_mlp(config, f"{block}/MlpBlock_0"),
    }
    if config.layer_scale:
        shapes |= {f"{block}/LayerScale_0": (config.width,), f"{block}/LayerScale_1": (config.width,)}
    return shapes


def _head_shapes(config: ViTConfig) -> Shapes:
    width = config.width
    if config.pooling == "map":
        head = "MAPHead_0"
        inside = _attention(config, f"{head}/{ATTENTION}") | _norm(config, f"{head}/LayerNorm_0")
        return {f"{head}/probe": (1, 1, width), **inside, **_mlp(config, f"{head}/MlpBlock_0")}
    if config.pooling == "pre_logits":
        return _dense("pre_logits", width, width)
    if config.pooling == "projection":
        shapes = _dense("head", width, config.projection_width)
        return shapes if config.projection_bias else {"head/kernel": shapes["head/kernel"]}
    return {}


def _norm(config: ViTConfig, name: str) -> Shapes:
    return {f"{name}/scale": (config.width,), f"{name}/bias": (config.width,)}


def _dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def _attention(config: ViTConfig, name: str) -> Shapes:
    width, heads = config.width, config.num_heads
    head_width = width // heads
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes |= {f"{name}/{part}/kernel": (width, heads, head_width), f"{name}/{part}/bias": (heads, head_width)}
    return shapes | {f"{name}/out/kernel": (heads, head_width, width), f"{name}/out/bias": (width,)}


def _mlp(config: ViTConfig, name: str) -> Shapes:
    width, hidden = config.width, config.mlp_width
    gate = _dense(f"{name}/Gate", width, hidden) if config.activation == "swiglu" else {}
    return gate | _dense(f"{name}/Dense_0", width, hidden) | _dense(f"{name}/Dense_1", hidden, width)


def adapt(config: ViTConfig, arrays: Arrays) -> ViTConfig:
    """Returns the configuration with or without a class token: the file decides where pooling does not."""
    return dataclasses.replace(config, class_token=config.pools_class_token or "cls" in arrays)
