"""Options of stored text embeddings in place of a text tower; importable without JAX, whose import takes seconds."""

import dataclasses
import re
from typing import Literal

from lit_precompute.towers.heads import HeadOptions, LinearHeadOptions
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text.options import TextTowerOptions

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredTextOptions(TextTowerOptions):
    """Embeddings of a frozen text tower that the dataset stores, and a head over them.

    Attributes:
      kind: stored text embeddings.
      weights: none; the frozen tower's parameters are not read.
      table: the dataset's table of them, such as text-embeddings-all-minilm-l6-v2.
      head: what is trained over them.
    """

    kind: Literal["stored"] = "stored"
    table: str = "text-embeddings-imported"
    head: HeadOptions = dataclasses.field(default_factory=LinearHeadOptions)

    def __post_init__(self):
        super().__post_init__()
        if self.weights is not None:
            raise OptionsError(
                f"text_tower.weights must be None where text_tower.kind is stored, got {self.weights!r}: a stored text "
                "tower is frozen, and the table has its embeddings"
            )
        if not _NAME.fullmatch(self.table):
            raise OptionsError(f"text_tower.table must be the name of a table, got {self.table!r}")
