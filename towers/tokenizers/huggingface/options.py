"""Options of the tokenizers that Hugging Face's library reads."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lit_precompute.towers.tokenizers.options import SpecialTokenChoice, TokenizerOptions, check_special_tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class HuggingFaceOptions(TokenizerOptions):
    """A tokenizer.json of any kind, or BERT's vocab.txt.

    Attributes:
      kind: what Hugging Face's library `tokenizers` reads.
      path: a tokenizer.json or vocab.txt, a folder that holds one, or a repository such as
        google-bert/bert-base-uncased.
      vocabulary_size: not used: the file has its own size.
      special_tokens: "published": as the tokenizer's own configuration says. "paper": as the paper's BERT towers had
        them, [CLS] and pieces without [SEP]; a tokenizer that opens with no token has rows like the paper's text ViT.
      lower_case: whether BERT's normaliser lower-cases; None: as published.
    """

    kind: Literal["huggingface"] = "huggingface"
    special_tokens: SpecialTokenChoice = "published"
    lower_case: bool | None = None

    def __post_init__(self):
        super().__post_init__()
        check_special_tokens(self.special_tokens)
