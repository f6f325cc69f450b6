"""Options of the text ViT; importable without JAX, whose import takes seconds."""

import dataclasses
from typing import Literal

from lit_precompute.towers.text.options import TextTowerOptions

# Far above any text tower: a number beyond them is a slip or an attack, and building such a tower would never end.
_LIMITS = {"width": 65_536, "depth": 128, "num_heads": 65_536, "mlp_width": 262_144}
Pooling = Literal["last", "first", "average", "max"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTTextOptions(TextTowerOptions):
    """The tower's shape; the defaults are the paper's base size.

    Attributes:
      kind: the text ViT.
      width: size of a token's vector.
      depth: number of blocks.
      num_heads: attention heads; must divide `width`.
      mlp_width: hidden size of a block's two-layer perceptron; 4 * width is usual.
      pooling: how the tokens' vectors become one.
    """

    kind: Literal["vit"] = "vit"
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_width: int = 3072
    pooling: Pooling = "last"

    def __post_init__(self):
        super().__post_init__()
        for name, limit in _LIMITS.items():
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"text_tower.{name} must be in [1, {limit}], got {getattr(self, name)}")
        if self.width % self.num_heads:
            raise ValueError(
                f"text_tower.num_heads must divide the width: width {self.width}, num_heads {self.num_heads}"
            )
        if self.pooling not in ("last", "first", "average", "max"):
            raise ValueError(f"text_tower.pooling must be 'last', 'first', 'average' or 'max', got {self.pooling!r}")

    def min_num_parameters(self) -> int:
        """Returns the size of all blocks' kernels."""
        return self.depth * self.width * (4 * self.width + 2 * self.mlp_width)
