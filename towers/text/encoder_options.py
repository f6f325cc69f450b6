"""Which frozen text tower, and how it is used; importable without JAX."""

import dataclasses
import typing

from lit_precompute.towers.options import ComputeType, OptionsError
from lit_precompute.towers.text.options import Pooling

# Captions are rarely longer; the towers themselves take up to 512.
DEFAULT_MAX_TOKENS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextEncoderOptions:
    """Which frozen text tower, and how it is used; all but the places is part of its fingerprint.

    Attributes:
      name: a name of `lit-tune towers`, or a folder with config.json and tokenizer.json.
      weights: Weights, by default the tower's own.
      max_tokens: Length of a row of tokens; by default the tower's, or 64.
      pooling: How the tokens' vectors become one; by default the tower's.
      compute_type: Type of the tower's products.
    """

    name: str
    weights: str | None = None
    max_tokens: int | None = None
    pooling: Pooling | None = None
    compute_type: ComputeType = "float32"

    def __post_init__(self):
        if self.max_tokens is not None and self.max_tokens < 2:
            raise OptionsError(f"max_tokens must be >= 2, got {self.max_tokens}")
        if self.pooling not in (None, *(poolings := typing.get_args(Pooling))):
            raise OptionsError(f"pooling must be one of {', '.join(poolings)}, got {self.pooling!r}")
