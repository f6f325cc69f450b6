"""The Vision Transformer as big_vision computes it.

Promises: pre-norm blocks with tanh GELU and LayerNorm epsilon 1e-6, position embeddings added before the class token
joins, and four choices of what the embedding is: "class_token" (big_vision's pool_type "tok"), "average" ("gap"),
"map" (attention pooling), and "pre_logits" (a dense layer and tanh behind the class token, as the first ImageNet-21k
models have). Parameters have big_vision's names; position embeddings are resized as big_vision resizes them.

Not here: files' other namings (`vit_files`), dropout and training.

Source: github.com/google-research/big_vision, big_vision/models/vit.py; widths and depths: arXiv:2106.04560, table 2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from precompute.families import vit_files
from precompute.family import Entry, Family, Shapes, TowerConfig
from precompute.preprocessing import Preprocessing

POOLINGS = ("class_token", "average", "map", "pre_logits")

# name: (width, depth, mlp width, heads)
VARIANTS = {
    "ti": (192, 12, 768, 3),
    "s": (384, 12, 1536, 6),
    "b": (768, 12, 3072, 12),
    "l": (1024, 24, 4096, 16),
    "h": (1280, 32, 5120, 16),
    "g": (1408, 40, 6144, 16),
    "G": (1664, 48, 8192, 16),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTConfig(TowerConfig):
    """A Vision Transformer.

    Attributes:
      patch_size: side of a patch in pixels; pixels beyond the last whole patch are not seen.
      width: length of a token.
      depth: number of blocks.
      mlp_width: hidden width of a block's second half.
      num_heads: attention heads; `width` is a multiple of it.
      gelu: "tanh" as in JAX's models, "exact" as in most of torch's.
      norm_epsilon: of every LayerNorm.
    """

    patch_size: int
    width: int
    depth: int
    mlp_width: int
    num_heads: int
    pooling: str = "class_token"
    gelu: Literal["tanh", "exact"] = "tanh"
    norm_epsilon: float = 1e-6

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ValueError(f"ViT: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}")
        if self.width % self.num_heads:
            raise ValueError(f"ViT: width must be a multiple of num_heads, got {self.width} and {self.num_heads}")
        if self.resolution < self.patch_size:
            raise ValueError(f"ViT: resolution must be >= patch_size {self.patch_size}, got {self.resolution}")

    @property
    def output_width(self) -> int:
        return self.width

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.resolution // self.patch_size

    @property
    def has_class_token(self) -> bool:
        return self.pooling in ("class_token", "pre_logits")


def variant(name: str, patch_size: int, *, resolution: int = 224) -> ViTConfig:
    """Returns the configuration of a published size: "ti", "s", "b", "l", "h", "g" or "G"."""
    width, depth, mlp_width, num_heads = VARIANTS[name]
    return ViTConfig(
        resolution=resolution,
        patch_size=patch_size,
        width=width,
        depth=depth,
        mlp_width=mlp_width,
        num_heads=num_heads,
    )


def parameter_shapes(config: ViTConfig) -> Shapes:
    """Returns the shapes by big_vision's names."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {"embedding/kernel": (patch, patch, 3, width), "embedding/bias": (width,)}
    if config.has_class_token:
        shapes["cls"] = (1, 1, width)
    shapes["pos_embedding"] = (1, config.grid**2, width)
    for number in range(config.depth):
        block = f"Transformer/encoderblock_{number}"
        shapes |= _norm_shapes(config, f"{block}/LayerNorm_0")
        shapes |= _attention_shapes(config, f"{block}/MultiHeadDotProductAttention_0")
        shapes |= _norm_shapes(config, f"{block}/LayerNorm_1")
        shapes |= _mlp_shapes(config, f"{block}/MlpBlock_0")
    shapes |= _norm_shapes(config, "Transformer/encoder_norm")
    if config.pooling == "map":
        shapes["MAPHead_0/probe"] = (1, 1, width)
        shapes |= _attention_shapes(config, "MAPHead_0/MultiHeadDotProductAttention_0")
        shapes |= _norm_shapes(config, "MAPHead_0/LayerNorm_0")
        shapes |= _mlp_shapes(config, "MAPHead_0/MlpBlock_0")
    if config.pooling == "pre_logits":
        shapes |= {"pre_logits/kernel": (width, width), "pre_logits/bias": (width,)}
    return shapes


def _norm_shapes(config: ViTConfig, name: str) -> Shapes:
    return {f"{name}/scale": (config.width,), f"{name}/bias": (config.width,)}


def _attention_shapes(config: ViTConfig, name: str) -> Shapes:
    width, heads = config.width, config.num_heads
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes |= {
            f"{name}/{part}/kernel": (width, heads, width // heads),
            f"{name}/{part}/bias": (heads, width // heads),
        }
    return shapes | {f"{name}/out/kernel": (heads, width // heads, width), f"{name}/out/bias": (width,)}


def _mlp_shapes(config: ViTConfig, name: str) -> Shapes:
    width, hidden = config.width, config.mlp_width
    first = {f"{name}/Dense_0/kernel": (width, hidden), f"{name}/Dense_0/bias": (hidden,)}
    return first | {f"{name}/Dense_1/kernel": (hidden, width), f"{name}/Dense_1/bias": (width,)}


def fit(config: ViTConfig, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the parameters with position embeddings for the configuration's grid."""
    table = parameters.get("pos_embedding")
    if table is None or table.ndim != 3 or table.shape[0] != 1 or math.isqrt(table.shape[1]) ** 2 != table.shape[1]:
        return dict(parameters)  # not a square grid: matching names it
    return {**parameters, "pos_embedding": resize_positions(table, config.grid)}


def resize_positions(table: np.ndarray, grid: int) -> np.ndarray:
    """Returns position embeddings [1, old * old, width] for a grid of `grid` x `grid`.

    Linear between neighbours with the corners kept in place: what big_vision's call of scipy.ndimage.zoom(order=1)
    does.
    """
    old = math.isqrt(table.shape[1])
    if old == grid:
        return table
    positions = np.linspace(0, old - 1, grid)
    # [grid, old]: how much of each old row a new row takes.
    shares = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(old)))
    square = table.reshape(old, old, -1).astype(np.float64)
    resized = np.einsum("ya,xb,abd->yxd", shares, shares, square, optimize=True)
    return resized.reshape(1, grid * grid, -1).astype(np.float32)


def apply(config: ViTConfig, parameters: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
    """Returns float32 [n, width] for float32 images [n, h, w, 3]."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    tokens = _patches(config, weights, images.astype(config.compute_type)) + weights["pos_embedding"]
    if config.has_class_token:
        class_token = jnp.broadcast_to(weights["cls"], (tokens.shape[0], 1, config.width))
        tokens = jnp.concatenate([class_token, tokens], axis=1)
    for number in range(config.depth):
        block = f"Transformer/encoderblock_{number}"
        normed = _norm(config, weights, f"{block}/LayerNorm_0", tokens)
        tokens += _self_attention(weights, f"{block}/MultiHeadDotProductAttention_0", normed)
        tokens += _mlp(config, weights, f"{block}/MlpBlock_0", _norm(config, weights, f"{block}/LayerNorm_1", tokens))
    tokens = _norm(config, weights, "Transformer/encoder_norm", tokens)
    return _pool(config, weights, tokens).astype(jnp.float32)


def _patches(config: ViTConfig, weights: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
    """Returns tokens [n, grid * grid, width]: a matrix product, which a convolution without overlap is."""
    patch, grid = config.patch_size, config.grid
    images = images[:, : grid * patch, : grid * patch]
    pieces = images.reshape(-1, grid, patch, grid, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    pieces = pieces.reshape(-1, grid * grid, patch * patch * 3)
    return pieces @ weights["embedding/kernel"].reshape(-1, config.width) + weights["embedding/bias"]


def _norm(config: ViTConfig, weights: Mapping[str, jax.Array], name: str, tokens: jax.Array) -> jax.Array:
    values = tokens.astype(jnp.float32)  # the statistics need more digits than bfloat16 has
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
    normed = centred * jax.lax.rsqrt(variance + config.norm_epsilon)
    return (normed * weights[f"{name}/scale"] + weights[f"{name}/bias"]).astype(tokens.dtype)


def _project(weights: Mapping[str, jax.Array], name: str, tokens: jax.Array) -> jax.Array:
    """Returns [n, length, heads, head width]."""
    kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
    projected = tokens @ kernel.reshape(kernel.shape[0], -1) + bias.reshape(-1)
    return projected.reshape(*tokens.shape[:-1], *bias.shape)


def _attention(weights: Mapping[str, jax.Array], name: str, queries: jax.Array, tokens: jax.Array) -> jax.Array:
    query = _project(weights, f"{name}/query", queries)
    key, value = (_project(weights, f"{name}/{part}", tokens) for part in ("key", "value"))
    attended = jax.nn.dot_product_attention(query, key, value)
    kernel = weights[f"{name}/out/kernel"]
    joined = attended.reshape(*attended.shape[:-2], -1)
    return joined @ kernel.reshape(-1, kernel.shape[-1]) + weights[f"{name}/out/bias"]


def _self_attention(weights: Mapping[str, jax.Array], name: str, tokens: jax.Array) -> jax.Array:
    return _attention(weights, name, tokens, tokens)


def _mlp(config: ViTConfig, weights: Mapping[str, jax.Array], name: str, tokens: jax.Array) -> jax.Array:
    hidden = tokens @ weights[f"{name}/Dense_0/kernel"] + weights[f"{name}/Dense_0/bias"]
    hidden = jax.nn.gelu(hidden, approximate=config.gelu == "tanh")
    return hidden @ weights[f"{name}/Dense_1/kernel"] + weights[f"{name}/Dense_1/bias"]


def _pool(config: ViTConfig, weights: Mapping[str, jax.Array], tokens: jax.Array) -> jax.Array:
    if config.pooling == "average":
        return tokens.mean(axis=1, dtype=jnp.float32)
    if config.pooling == "map":
        probe = jnp.broadcast_to(weights["MAPHead_0/probe"], (tokens.shape[0], 1, config.width))
        pooled = _attention(weights, "MAPHead_0/MultiHeadDotProductAttention_0", probe, tokens)
        pooled += _mlp(config, weights, "MAPHead_0/MlpBlock_0", _norm(config, weights, "MAPHead_0/LayerNorm_0", pooled))
        return pooled[:, 0]
    if config.pooling == "pre_logits":
        return jnp.tanh(tokens[:, 0] @ weights["pre_logits/kernel"] + weights["pre_logits/bias"])
    return tokens[:, 0]


FAMILY = Family(
    name="vit",
    poolings=POOLINGS,
    parameter_shapes=parameter_shapes,
    rename=lambda config, arrays: vit_files.rename(arrays, num_heads=config.num_heads, keep=parameter_shapes(config)),
    fit=fit,
    apply=apply,
)

# Published (AugReg, big_vision): the whole picture squeezed to a square, bilinear, -1..1.
_PATCH_SIZES = {"ti": (16,), "s": (32, 16), "b": (32, 16, 8), "l": (32, 16), "h": (14,), "g": (14,), "G": (14,)}
ENTRIES = {
    f"vit_{size}{patch}": Entry(family=FAMILY, config=variant(size, patch), preprocessing=Preprocessing(size=224))
    for size, patches in _PATCH_SIZES.items()
    for patch in patches
}
