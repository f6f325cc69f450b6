"""The configuration of an EVA-02 or a Perception Encoder."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from lit_precompute.towers.family import TowerConfig

Pooling = Literal["average", "class_token", "map", "projection"]
POOLINGS: tuple[str, ...] = get_args(Pooling)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaConfig(TowerConfig):
    """An EVA-02 or a Perception Encoder (PE).

    Attributes:
      patch_size: side of a patch in pixels; pixels beyond the last whole patch are ignored.
      width: length of a token.
      depth: number of blocks.
      mlp_width: hidden width of a block's second half.
      num_heads: attention heads; `width` is a multiple of four times it.
      pooling: what the embedding is: "average" of the patches' tokens; "class_token"; "map" (attention with a learnt
        query over all tokens, PE); "projection" (a linear layer on what `projects` names).
      class_token: whether a class token precedes the patches.
      activation: of the MLP: "swiglu" has a gate, "exact" is GELU.
      mlp_norm: a LayerNorm before the MLP's last layer.
      attention_norm: a LayerNorm before attention's last layer.
      key_bias: whether keys have a bias; queries and values always have one.
      block_norms: LayerNorms "before" attention and MLP, or "after" them (EVA-02-CLIP E/14).
      pre_norm: a LayerNorm before the first block; the patches' embedding has no bias then (PE).
      last_norm: the last LayerNorm is of the "tokens" or of the "average" of them; other poolings do not differ.
      norm_epsilon: of every LayerNorm.
      rotary: which half of a head's pairs is turned by the row: the "rows_first", or the second ("columns_first");
        "none": positions are only learned.
      rotary_grid: the number of patches along a side that the rows and columns are scaled to; 0: they are not.
      rotary_start: the number of the first row and column.
      position_resize: how learned positions are brought to another grid, as torch does it.
      map_heads: attention heads of the pooling "map"; 0: this tower has none.
      projects: which pooling the projection is of.
      projection_width: length of the embedding where pooling is "projection"; 0: this tower has none.
      projection_bias: whether the projection has a bias.
    """

    patch_size: int
    width: int
    depth: int
    mlp_width: int
    num_heads: int
    pooling: str = "average"
    class_token: bool = True
    activation: Literal["swiglu", "exact"] = "swiglu"
    mlp_norm: bool = False
    attention_norm: bool = False
    key_bias: bool = False
    block_norms: Literal["before", "after"] = "before"
    pre_norm: bool = False
    last_norm: Literal["tokens", "average"] = "tokens"
    norm_epsilon: float = 1e-6
    rotary: Literal["rows_first", "columns_first", "none"] = "rows_first"
    rotary_grid: int = 16
    rotary_start: int = 0
    position_resize: Literal["bicubic_antialias", "bilinear"] = "bicubic_antialias"
    map_heads: int = 0
    projects: Literal["class_token", "map"] = "class_token"
    projection_width: int = 0
    projection_bias: bool = True

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ValueError(f"EVA: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}")
        if self.pooling == "projection" and self.projection_width < 1:
            raise ValueError("EVA: this tower has no projection; choose another pooling")
        if self.pooled == "class_token" and not self.class_token:
            raise ValueError(f"EVA: pooling {self.pooling!r} needs a class token; choose 'average' or 'map'")
        if self.pooled == "map" and self.map_heads < 1:
            raise ValueError(f"EVA: pooling {self.pooling!r} needs attention pooling, which this tower does not have")
        if self.width % (4 * self.num_heads):
            raise ValueError(f"EVA: width must be a multiple of 4 * num_heads, got {self.width} and {self.num_heads}")
        if self.resolution < self.patch_size:
            raise ValueError(f"EVA: resolution must be >= patch_size {self.patch_size}, got {self.resolution}")

    @property
    def output_width(self) -> int:
        return self.projection_width if self.pooling == "projection" else self.width

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.resolution // self.patch_size

    @property
    def pooled(self) -> str:
        """What becomes of the tokens, before a projection."""
        return self.projects if self.pooling == "projection" else self.pooling
