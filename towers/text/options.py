"""Options of text towers; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from lit_precompute.towers.options import Kinds, TaggedOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTowerOptions(TaggedOptions):
    """Options of a text tower of any kind."""

    kinds: ClassVar[Kinds[TextTowerOptions]] = Kinds("text_tower")

    def min_num_parameters(self) -> int:
        """Returns a lower bound of the tower's parameters; a file with fewer is refused before the tower is built."""
        return 0
