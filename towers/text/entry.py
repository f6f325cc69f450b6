"""What a name of a text tower stands for; importable without JAX."""

import dataclasses

from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.tokenizers import TokenizerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextEntry:
    """A text tower that has a name, or that a folder describes.

    Attributes:
      options: its kind and sizes, without `weights`.
      weights: where its weights are published (`hf://`, `gs://`, `https://`), a file or a folder; "" for none.
      tokenizer: its tokenizer.
      max_tokens: the length of a row of tokens that it needs; None: any, up to its positions.
      root: prefix under which the file keeps the tower's parameters; arrays without it are others'.
      note: what its authors report, or what is special about it, in words.
    """

    options: TextTowerOptions
    weights: str
    tokenizer: TokenizerOptions
    max_tokens: int | None = None
    root: str = ""
    note: str = ""
