"""The kinds of text towers, and making a tower from its options.

A kind is an options class and a function with the arguments of `make_text_tower` that returns a `Tower` over int32
token ids [n, max_tokens]. The function is registered by name here and imported at first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.text.vit.options import ViTTextOptions

if TYPE_CHECKING:
    from lit_precompute.towers.contract import Tower


def register_text_tower(options: type[TextTowerOptions], make: str | Callable[..., Tower]) -> None:
    """Adds a kind of text tower; other packages may call it, too.

    Args:
      options: its options class; the default of the field `kind` is the kind's name.
      make: see the module; or "module:function", imported at first use.

    Raises:
      ValueError: the name is taken.
    """
    TextTowerOptions.kinds.register(options, make)


def make_text_tower(
    options: TextTowerOptions, *, vocabulary_size: int, max_tokens: int, output_width: int, compute_type: ComputeType
) -> Tower:
    """Returns the tower that the options describe.

    Args:
      options: of any registered kind.
      vocabulary_size: one more than the largest token id.
      max_tokens: length of a row of tokens.
      output_width: length of an embedding.
      compute_type: type of the products; parameters and embeddings are float32.
    """
    return TextTowerOptions.kinds.make(
        options,
        vocabulary_size=vocabulary_size,
        max_tokens=max_tokens,
        output_width=output_width,
        compute_type=compute_type,
    )


register_text_tower(ViTTextOptions, "lit_precompute.towers.text.vit.network:make_tower")
