"""Options of T5's encoder; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
import typing
from typing import Literal

from lit_precompute.towers.text.options import Pooling, TransformerOptions

FeedForward = Literal["relu", "gated_gelu"]
RelativePositions = Literal["shared", "per_block"]
# As for all transformers: a number beyond them is a slip or an attack.
_LIMITS = {"head_width": (1, 65_536), "num_buckets": (4, 65_536), "vocabulary_rows": (0, 1 << 24)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5TextOptions(TransformerOptions):
    """T5's encoder; the defaults are T5's base size.

    Attributes:
      kind: the encoder of T5, T5 1.1, mT5 or umT5.
      weights: where the parameters start from: a name of `lit-tune towers`, a Hugging Face repository, a file, a
        folder or a run of `lit-tune`; None: at random.
      width: size of a token's vector.
      depth: number of blocks.
      num_heads: attention heads.
      head_width: size of a head's queries, keys and values, whatever the width.
      mlp_width: hidden size of a block's perceptron.
      feed_forward: relu as in T5 1.0, or gated_gelu as in T5 1.1, mT5 and umT5.
      relative_positions: one table of biases, shared by all blocks; or one per_block, as in umT5.
      num_buckets: buckets of distances, half of them for each direction.
      max_distance: distances from here on share one bucket in each direction.
      norm_epsilon: of every norm.
      vocabulary_rows: rows of the table of tokens, where it has more than the tokenizer has ids; 0: as many.
      pooling: how the tokens' vectors become one; `end` is the vector of the end token, `attention` a learnt query's.
      head: what follows; `none` gives the pooled vector itself, of the tower's width.
      head_start: `file` takes the head of the weights, where they have one; `random` draws one and takes all else.
    """

    kind: Literal["t5"] = "t5"
    head_width: int = 64
    feed_forward: FeedForward = "relu"
    relative_positions: RelativePositions = "shared"
    num_buckets: int = 32
    max_distance: int = 128
    norm_epsilon: float = 1e-6
    vocabulary_rows: int = 0
    pooling: Pooling = "average"

    def __post_init__(self):
        super().__post_init__()
        for name, (least, most) in _LIMITS.items():
            _check(least <= getattr(self, name) <= most, name, f"in [{least}, {most}]", getattr(self, name))
        for name, kind in (("feed_forward", FeedForward), ("relative_positions", RelativePositions)):
            choices = typing.get_args(kind)
            _check(getattr(self, name) in choices, name, f"one of {', '.join(choices)}", repr(getattr(self, name)))
        # The nearest distances have a bucket each: a quarter of them all, in each direction.
        rule = f"> num_buckets // 4 ({self.num_buckets // 4})"
        _check(self.max_distance > self.num_buckets // 4, "max_distance", rule, self.max_distance)
        _check(0 < self.norm_epsilon < 1, "norm_epsilon", "in (0, 1)", self.norm_epsilon)

    def min_num_parameters(self) -> int:
        """Returns the size of all blocks' kernels."""
        kernels = 3 if self.feed_forward == "gated_gelu" else 2
        return self.depth * self.width * (4 * self.num_heads * self.head_width + kernels * self.mlp_width)


def _check(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"text_tower.{name} must be {rule}, got {value}")
