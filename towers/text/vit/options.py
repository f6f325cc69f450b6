"""Options of the text ViT; importable without JAX, whose import takes seconds."""

import dataclasses
from typing import Literal

from lit_precompute.towers.text.options import TransformerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViTTextOptions(TransformerOptions):
    """The text ViT; the defaults are the paper's base size.

    Attributes:
      kind: the text ViT.
      weights: where the parameters start from: a name of `lit-tune towers`, a Hugging Face repository, a file or a
        folder; None: at random.
      width: size of a token's vector.
      depth: number of blocks.
      num_heads: attention heads; must divide `width`.
      mlp_width: hidden size of a block's two-layer perceptron; 4 * width is usual.
      pooling: how the tokens' vectors become one; `end` is the vector of the end token, `attention` a learnt query's.
      head: what follows; `none` gives the pooled vector itself, of the tower's width.
    """

    kind: Literal["vit"] = "vit"

    def __post_init__(self):
        super().__post_init__()
        self.check_heads_divide_width()
