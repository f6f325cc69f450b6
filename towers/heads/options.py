"""Options of heads; importable without JAX, whose import takes seconds.

A kind is an options class and a function `make(options, *, input_width, output_width, compute_type)` that returns a
`Tower` over float32 vectors [n, input_width].
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, OptionsError, TaggedOptions

# Far above any head: a number beyond them is a slip or an attack.
_LIMITS = {"depth": 64, "expansion": 64}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadOptions(TaggedOptions):
    """Options of a head of any kind."""

    kinds: ClassVar[Kinds[HeadOptions]] = Kinds("head")

    def __post_init__(self):
        super().__post_init__()
        for name, limit in _LIMITS.items():
            if not 1 <= getattr(self, name, 1) <= limit:
                raise OptionsError(f"head.{name} must be in [1, {limit}], got {getattr(self, name)}")
        dropout: float = getattr(self, "dropout", 0.0)
        if not 0 <= dropout < 1:
            raise OptionsError(f"head.dropout must be in [0, 1), got {dropout}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearHeadOptions(HeadOptions):
    """A linear layer with a bias.

    Attributes:
      kind: the linear head.
    """

    kind: Literal["linear"] = "linear"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoHeadOptions(HeadOptions):
    """No head: embeddings are used as they are stored.

    Attributes:
      kind: no head.
    """

    kind: Literal["none"] = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLPHeadOptions(HeadOptions):
    """A perceptron with GELUs, after a LayerNorm.

    Attributes:
      kind: the perceptron.
      depth: hidden layers.
      expansion: width of a hidden layer, as a multiple of the input's.
      dropout: share of the hidden values that a training step sets to zero.
    """

    kind: Literal["mlp"] = "mlp"
    depth: int = 1
    expansion: int = 4
    dropout: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResidualHeadOptions(HeadOptions):
    """Residual blocks of a LayerNorm and a perceptron of two layers, then a LayerNorm and a linear layer: FuseMix's.

    Attributes:
      kind: the residual head.
      depth: blocks.
      expansion: width of a block's hidden layer, as a multiple of the input's.
      dropout: share of the hidden values that a training step sets to zero.
    """

    kind: Literal["residual"] = "residual"
    depth: int = 4
    expansion: int = 4
    dropout: float = 0.6


@dataclasses.dataclass(frozen=True, kw_only=True)
class GatedHeadOptions(HeadOptions):
    """A hidden layer that is multiplied by a gate, after a LayerNorm: SAIL's.

    Attributes:
      kind: the gated head.
      expansion: width of the hidden layer, as a multiple of the input's.
      dropout: share of the hidden values that a training step sets to zero; SAIL has none.
    """

    kind: Literal["gated"] = "gated"
    expansion: int = 8
    dropout: float = 0.0


_NETWORK = "lit_precompute.towers.heads.network"
HeadOptions.kinds.register(LinearHeadOptions, f"{_NETWORK}:make_linear")
HeadOptions.kinds.register(NoHeadOptions, f"{_NETWORK}:make_none")
HeadOptions.kinds.register(MLPHeadOptions, f"{_NETWORK}:make_mlp")
HeadOptions.kinds.register(ResidualHeadOptions, f"{_NETWORK}:make_residual")
HeadOptions.kinds.register(GatedHeadOptions, f"{_NETWORK}:make_gated")
