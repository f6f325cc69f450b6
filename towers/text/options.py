"""Options of text towers; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
import typing
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, TaggedOptions

Pooling = Literal["last", "first", "average", "max", "end", "attention"]
Head = Literal["linear", "mlp", "none"]
HeadStart = Literal["file", "random"]
# Far above any text tower: a number beyond them is a slip or an attack, and building such a tower would never end.
_LIMITS = {"width": 65_536, "depth": 128, "num_heads": 65_536, "mlp_width": 262_144}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTowerOptions(TaggedOptions):
    """Options of a text tower of any kind.

    Attributes:
      kind: a registered kind.
      weights: where the parameters start from: a name of `lit-tune towers`, a Hugging Face repository, a file, a
        folder or a run of `lit-tune`; None: at random.
    """

    kinds: ClassVar[Kinds[TextTowerOptions]] = Kinds("text_tower")
    weights: str | None = None

    def min_num_parameters(self) -> int:
        """Returns a lower bound of the tower's parameters; a file with fewer is refused before the tower is built."""
        return 0

    def longest_text(self) -> int | None:
        """Returns the most tokens that have a position each; None: there is no such limit."""
        return None

    def draws_head(self) -> bool:
        """Returns whether the head starts at random even where the weights have one."""
        return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerOptions(TextTowerOptions):
    """Options of a transformer; the defaults are the paper's base size.

    Attributes:
      kind: a registered kind.
      weights: see `TextTowerOptions`.
      width: size of a token's vector.
      depth: number of blocks.
      num_heads: attention heads.
      mlp_width: hidden size of a block's perceptron.
      pooling: how the tokens' vectors become one; `end` is the vector of the end token, `attention` a learnt query's.
      head: what follows; `none` gives the pooled vector itself, of the tower's width.
      head_start: `file` takes the head of the weights, where they have one; `random` draws one and takes all else.
      dropout: share of the values that training sets to 0 where the kind's original does; 0.1 in BERT and T5.
    """

    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_width: int = 3072
    pooling: Pooling = "last"
    head: Head = "linear"
    head_start: HeadStart = "file"
    dropout: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        for name, limit in _LIMITS.items():
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"text_tower.{name} must be in [1, {limit}], got {getattr(self, name)}")
        for name, choices in (("pooling", Pooling), ("head", Head), ("head_start", HeadStart)):
            if getattr(self, name) not in (names := typing.get_args(choices)):
                raise ValueError(f"text_tower.{name} must be one of {', '.join(names)}, got {getattr(self, name)!r}")

        if not 0 <= self.dropout < 1:
            raise ValueError(f"text_tower.dropout must be in [0, 1), got {self.dropout}")

    def min_num_parameters(self) -> int:
        """Returns the size of all blocks' kernels, where heads are as wide as the tower."""
        return self.depth * self.width * (4 * self.width + 2 * self.mlp_width)

    def draws_head(self) -> bool:
        """Returns whether the head starts at random even where the weights have one."""
        return self.head_start == "random"

    def check_heads_divide_width(self) -> None:
        """Raises ValueError unless the heads share the width evenly."""
        if self.width % self.num_heads:
            raise ValueError(
                f"text_tower.num_heads must divide the width: width {self.width}, num_heads {self.num_heads}"
            )
