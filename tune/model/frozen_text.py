"""The frozen text tower of a model whose text side is a head over stored embeddings.

Promises: a model's card is no reason to open a place that it names: the tower is read from where the caller says, or
under a name that this library knows, and its fingerprint must be the card's.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from lit_precompute.schemas.text_tower_card import TextTowerCard
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.encoder import TextEncoder, load_text_encoder
from lit_precompute.towers.text.encoder_options import TextEncoderOptions
from lit_precompute.towers.text.options import Pooling
from lit_precompute.towers.text.registry import text_towers
from lit_precompute.tune.model.tuned_model_files import TunedModelError


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenText:
    """What a model knows of the text embeddings that it was tuned on.

    Attributes:
      table: the table that had them.
      width: numbers in an embedding.
      tower: the card of what made them; None where that is not known.
    """

    table: str
    width: int
    tower: TextTowerCard | None

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON."""
        tower = None if self.tower is None else self.tower.model_dump()
        return {"table": self.table, "width": self.width, "tower": tower}

    @classmethod
    def from_json(cls, fields: Any) -> FrozenText:
        """Returns what `to_json` gave.

        Raises:
          ValueError: it is something else.
        """
        if not isinstance(fields, dict) or {name: type(fields.get(name)) for name in ("table", "width")} != {
            "table": str,
            "width": int,
        }:
            raise ValueError(f"text_embeddings must have a table and a width, got {fields!r:.80}")
        tower = fields.get("tower")
        card = None if tower is None else TextTowerCard.model_validate(tower)
        return cls(table=fields["table"], width=fields["width"], tower=card)

    def load_encoder(self, place: str | None) -> TextEncoder:
        """Returns the frozen text tower.

        Args:
          place: its name or folder, or NAME@WEIGHTS; None: as the card says, if that is a name of `lit-tune towers`.

        Raises:
          TunedModelError: no place is known, or another tower is there.
          ValueError, WeightsError: see `load_text_encoder`.
        """
        card = self.tower
        if place is None and (card is None or card.weights or card.name not in text_towers()):
            made = "is not known" if card is None else f"was {' with '.join(filter(None, (card.name, card.weights)))!r}"
            raise TunedModelError(
                f"the model was tuned on text embeddings ('{self.table}'), so texts need the frozen text tower that "
                f"made them, which {made}: give its name or folder as --text-tower"
            )
        name, _, weights = (place or "").partition("@")
        if card is None:
            return self._checked(load_text_encoder(TextEncoderOptions(name=name, weights=weights or None)))
        pooling, compute_type = (card.architecture.get(name) for name in ("pooling", "compute_type"))
        options = TextEncoderOptions(
            name=name or card.name,
            weights=weights or None,
            max_tokens=card.max_tokens,
            pooling=pooling if pooling in typing.get_args(Pooling) else None,
            compute_type="bfloat16" if compute_type == "bfloat16" else typing.get_args(ComputeType)[0],
        )
        return self._checked(load_text_encoder(options))

    def _checked(self, encoder: TextEncoder) -> TextEncoder:
        found, card = encoder.card, self.tower
        if card is not None and found.fingerprint != card.fingerprint:
            differences = card.differences(found)
            words = [f"{name} is {theirs!r}, the model's is {mine!r}" for name, (mine, theirs) in differences.items()]
            raise TunedModelError(
                f"--text-tower {found.name}: is not the text tower that the model was tuned with: {'; '.join(words)}"
            )
        if found.output_width != self.width:
            raise TunedModelError(
                f"--text-tower {found.name}: gives {found.output_width} numbers, the model was tuned on {self.width}"
            )
        return encoder
