"""Options of tokenizers; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
import pathlib
import typing
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, TaggedOptions
from lit_precompute.towers.tokenizers.tokenizer import NUM_SPECIAL

# Which special tokens a row has: those of the paper's towers, or those of the tokenizer's own configuration.
SpecialTokenChoice = Literal["paper", "published"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerOptions(TaggedOptions):
    """Options of a tokenizer of any kind.

    Attributes:
      kind: a registered kind.
      path: a vocabulary in the kind's own format; None trains one on the captions.
      vocabulary_size: the most ids to train, including the three special ones; a given file has its own size.
    """

    kinds: ClassVar[Kinds[TokenizerOptions]] = Kinds("tokenizer")
    path: str | None = None
    vocabulary_size: int = 32_000

    def __post_init__(self):
        super().__post_init__()
        if self.vocabulary_size < NUM_SPECIAL + 1:
            raise ValueError(f"tokenizer.vocabulary_size must be >= {NUM_SPECIAL + 1}, got {self.vocabulary_size}")

    def file(self) -> pathlib.Path:
        """Returns the path of the given vocabulary.

        Raises:
          ValueError: there is no such file.
        """
        path = pathlib.Path(str(self.path))
        if not path.is_file():
            raise ValueError(
                f"tokenizer.path {self.path!r}: no such file; give a {self.kind} vocabulary, or None, which makes "
                "one of the captions"
            )
        return path


def check_special_tokens(choice: str) -> None:
    """Raises ValueError unless it is one of the choices."""
    if choice not in typing.get_args(SpecialTokenChoice):
        raise ValueError(f"tokenizer.special_tokens must be 'paper' or 'published', got {choice!r}")
