"""The configuration of a Vision Transformer."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from lit_precompute.towers.family import TowerConfig

Pooling = Literal["class_token", "average", "map", "pre_logits", "projection", "class_token+average"]
POOLINGS: tuple[str, ...] = get_args(Pooling)
# Both joined, as DINOv2's linear probes and SAIL have them.
CLASS_TOKEN_AND_AVERAGE = "class_token+average"
_OF_THE_CLASS_TOKEN = ("class_token", "pre_logits", "projection", CLASS_TOKEN_AND_AVERAGE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTConfig(TowerConfig):
    """A Vision Transformer. Unless noted, fields are as in big_vision.

    Attributes:
      patch_size: side of a patch in pixels; pixels beyond the last whole patch are ignored.
      width: length of a token.
      depth: number of blocks.
      mlp_width: hidden width of a block's second half.
      num_heads: attention heads; `width` is a multiple of it.
      pooling: what the embedding is, after the last norm: "class_token"; "average" of the patches' tokens;
        "class_token+average", both joined, twice as long; "map" (attention with a learnt query); "pre_logits" (a dense
        layer and tanh on the class token); "projection" (a linear layer on the class token: CLIP's, and LiT's image
        head).
      class_token: whether a class token precedes the patches; the weights file decides where pooling does not.
      num_registers: tokens between the class token and the patches whose output is ignored (DINOv2).
      positions: "learned"; or "sine" and "sine_moco", tables that are computed where the file has none or another grid.
      position_resize: how learned positions are brought to another grid: "linear" with the corners in place, "bicubic"
        as in torch without antialias, or "bicubic_antialias".
      activation: of the MLP: GELU in its "tanh" form as in JAX's models, "exact" as in torch's, "quick" as in the first
        CLIP models; "swiglu" has a gate.
      norm_epsilon: of every LayerNorm.
      pre_norm: a LayerNorm before the first block (CLIP).
      patch_bias: whether the patches' embedding has a bias (CLIP's has none).
      layer_scale: a factor for each channel after attention and MLP (DINOv2).
      projection_width: length of the embedding where pooling is "projection".
      projection_bias: whether the projection has a bias.
    """

    patch_size: int
    width: int
    depth: int
    mlp_width: int
    num_heads: int
    pooling: str = "class_token"
    class_token: bool = True
    num_registers: int = 0
    positions: Literal["learned", "sine", "sine_moco"] = "learned"
    position_resize: Literal["linear", "bicubic", "bicubic_antialias"] = "linear"
    activation: Literal["tanh", "exact", "quick", "swiglu"] = "tanh"
    norm_epsilon: float = 1e-6
    pre_norm: bool = False
    patch_bias: bool = True
    layer_scale: bool = False
    projection_width: int = 0
    projection_bias: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ValueError(f"ViT: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}")
        if self.pooling in _OF_THE_CLASS_TOKEN and not self.class_token:
            raise ValueError(f"ViT: pooling {self.pooling!r} needs a class token; choose 'average' or 'map'")
        if self.pooling == "projection" and self.projection_width < 1:
            raise ValueError("ViT: this tower has no projection; choose another pooling")
        if self.width % self.num_heads:
            raise ValueError(f"ViT: width must be a multiple of num_heads, got {self.width} and {self.num_heads}")
        if self.resolution < self.patch_size:
            raise ValueError(f"ViT: resolution must be >= patch_size {self.patch_size}, got {self.resolution}")

    @property
    def output_width(self) -> int:
        if self.pooling == CLASS_TOKEN_AND_AVERAGE:
            return 2 * self.width
        return self.projection_width if self.pooling == "projection" else self.width

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.resolution // self.patch_size

    @property
    def pools_class_token(self) -> bool:
        return self.pooling in _OF_THE_CLASS_TOKEN
