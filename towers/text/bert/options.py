"""Options of BERT and its relatives; importable without JAX, whose import takes seconds."""

import dataclasses
import typing
from typing import Literal

from lit_precompute.towers.text.options import Pooling, TransformerOptions

Activation = Literal["gelu", "gelu_tanh", "relu"]
_LIMITS = {"num_segments": (0, 64), "max_positions": (1, 1 << 20), "vocabulary_rows": (0, 1 << 24)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertTextOptions(TransformerOptions):
    """BERT, RoBERTa, XLM-R, DistilBERT, MiniLM; the defaults are BERT's base size.

    Attributes:
      kind: BERT and its relatives.
      weights: where the parameters start from: a name of `lit-tune towers`, a Hugging Face repository, a file, a
        folder or a run of `lit-tune`; None: at random.
      width: size of a token's vector.
      depth: number of blocks.
      num_heads: attention heads; must divide `width`.
      mlp_width: hidden size of a block's perceptron.
      pooling: how the tokens' vectors become one; `first` is [CLS], `average` what sentence-transformers uses.
      head: what follows; `none` gives the pooled vector itself, of the tower's width.
      head_start: `file` takes the head of the weights, where they have one; `random` draws one and takes all else.
      activation: between a perceptron's layers; `gelu` is the exact form.
      norm_epsilon: what the norms add to the variance.
      num_segments: rows of the segment table, of which texts use the first: 2 in BERT, 1 in RoBERTa, 0 in DistilBERT.
      max_positions: rows of the position table.
      padding_position: the position of padding; real tokens alone count on from it, as in RoBERTa and XLM-R (1). None:
        all tokens count, from 0.
      vocabulary_rows: rows of the table of tokens, where it has more than the tokenizer has ids; 0: as many.
    """

    kind: Literal["bert"] = "bert"
    pooling: Pooling = "first"
    activation: Activation = "gelu"
    norm_epsilon: float = 1e-12
    num_segments: int = 2
    max_positions: int = 512
    padding_position: int | None = None
    vocabulary_rows: int = 0

    def __post_init__(self):
        super().__post_init__()
        self.check_heads_divide_width()
        for name, (least, most) in _LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"text_tower.{name} must be in [{least}, {most}], got {getattr(self, name)}")
        if self.activation not in (names := typing.get_args(Activation)):
            raise ValueError(f"text_tower.activation must be one of {', '.join(names)}, got {self.activation!r}")
        if not 0 < self.norm_epsilon < 1:
            raise ValueError(f"text_tower.norm_epsilon must be in (0, 1), got {self.norm_epsilon}")
        if self.longest_text() < 1 or (self.padding_position is not None and self.padding_position < 0):
            raise ValueError(
                f"text_tower.padding_position must be in [0, max_positions - 2], got {self.padding_position} with "
                f"max_positions {self.max_positions}"
            )

    def longest_text(self) -> int:
        """Returns the most tokens that have a position each."""
        return self.max_positions - (0 if self.padding_position is None else self.padding_position + 1)
