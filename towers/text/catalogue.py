"""Descriptions of text towers for people who have no weights yet: sizes, tokens, tokenizer, files.

Promises: a description is plain data, for a table, a card or JSON; nothing is loaded or drawn.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.options import TextTowerOptions, TransformerOptions
from lit_precompute.towers.text.registry import make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary

_TOKENS = 16  # the paper's, where a tower takes any number
_OF_TRAINING = ("weights", "head_start", "dropout")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """A text tower that has a name.

    Attributes:
      name: of `text_towers`, or of a folder or repository.
      family: its kind.
      width: of its own vectors, before the head; 0 where the kind has no such number.
      depth: number of blocks; 0 likewise.
      num_parameters: without the head.
      max_tokens: the most tokens of a text; None: any number.
      usual_tokens: how many tokens a text has unless it is said.
      pooling: how the tokens' vectors become one.
      tokenizer: its kind.
      tokenizer_path: where its vocabulary is published; "" where one is trained on the captions.
      weights: where its weights are published; "" for a bare architecture.
      note: what is special about it.
      options: its shape; where it starts from is left out.
    """

    name: str
    family: str
    width: int
    depth: int
    num_parameters: int
    max_tokens: int | None
    usual_tokens: int
    pooling: str
    tokenizer: str
    tokenizer_path: str
    weights: str
    note: str
    options: dict[str, Any]


def describe(name: str, entry: TextEntry) -> Description:
    """Returns the description of a text tower."""
    options = entry.options
    positions = options.longest_text()
    usual = entry.max_tokens or min(_TOKENS, positions or _TOKENS)
    return Description(
        name=name,
        family=options.kind,
        width=getattr(options, "width", 0),
        depth=getattr(options, "depth", 0),
        num_parameters=_count(options, entry.tokenizer.vocabulary_size, usual),
        max_tokens=positions or entry.max_tokens,
        usual_tokens=usual,
        pooling=getattr(options, "pooling", ""),
        tokenizer=entry.tokenizer.kind,
        tokenizer_path=entry.tokenizer.path or "",
        weights=entry.weights,
        note=entry.note,
        options={name: value for name, value in dataclasses.asdict(options).items() if name not in _OF_TRAINING},
    )


def _count(options: TextTowerOptions, vocabulary_size: int, num_tokens: int) -> int:
    """Returns the number of parameters without the head; blocks are alike but for the first, so that two are enough."""
    if not isinstance(options, TransformerOptions) or options.depth <= 2:
        return _count_built(options, vocabulary_size, num_tokens)
    one, two = (
        _count_built(dataclasses.replace(options, depth=depth), vocabulary_size, num_tokens) for depth in (1, 2)
    )
    return one + (options.depth - 1) * (two - one)


@functools.lru_cache(maxsize=256)
def _count_built(options: TextTowerOptions, vocabulary_size: int, num_tokens: int) -> int:
    rows = getattr(options, "vocabulary_rows", 0) or vocabulary_size
    width = getattr(options, "width", 1)
    if isinstance(options, TransformerOptions):
        options = dataclasses.replace(options, head="none")
    tower = make_text_tower(
        options, vocabulary=Vocabulary(rows, 1, 0), max_tokens=num_tokens, output_width=width, compute_type="float32"
    )
    return sum(map(math.prod, tower.parameter_shapes.values()))
