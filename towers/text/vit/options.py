"""Options of the text ViT; importable without JAX, whose import takes seconds."""

import dataclasses
from typing import Literal

from lit_precompute.towers.text.options import TransformerOptions

# Far above any text tower.
_MAX_POSITIONS = 1_000_000
_MAX_VOCABULARY = 1 << 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTTextOptions(TransformerOptions):
    """The text ViT; the defaults are the paper's base size.

    Attributes:
      kind: the text ViT.
      weights: where the parameters start from: a name of `lit-tune towers`, a Hugging Face repository, a file, a
        folder or a run of `lit-tune`; None: at random.
      width: size of a token's vector.
      depth: number of blocks.
      num_heads: attention heads; must divide `width`.
      mlp_width: hidden size of a block's two-layer perceptron; 4 * width is usual.
      pooling: how the tokens' vectors become one; `end` is the vector of the end token, `attention` a learnt query's.
      head: what follows; `none` gives the pooled vector itself, of the tower's width.
      head_start: `file` takes the head of the weights, where they have one; `random` draws one and takes all else.
      max_positions: positions that have a vector, of which shorter rows use the first ones; None: as many as a row has
        tokens.
      vocabulary_rows: rows of the table of tokens, where it has more than the tokenizer has ids; 0: as many.
    """

    kind: Literal["vit"] = "vit"
    max_positions: int | None = None
    vocabulary_rows: int = 0

    def __post_init__(self):
        super().__post_init__()
        self.check_heads_divide_width()
        if self.max_positions is not None and not 1 <= self.max_positions <= _MAX_POSITIONS:
            raise ValueError(f"text_tower.max_positions must be in [1, {_MAX_POSITIONS}], got {self.max_positions}")
        if not 0 <= self.vocabulary_rows <= _MAX_VOCABULARY:
            raise ValueError(
                f"text_tower.vocabulary_rows must be in [0, {_MAX_VOCABULARY}], got {self.vocabulary_rows}"
            )

    def longest_text(self) -> int | None:
        """Returns the most tokens that have a position each; None: as many as a row has."""
        return self.max_positions
