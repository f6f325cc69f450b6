"""The head over stored text embeddings, as a tower over float32 vectors."""

from __future__ import annotations

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.heads.network import make_head
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.stored.options import StoredTextOptions


def make_tower(options: StoredTextOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns the head; unlike a tower over tokens, it needs the width of the stored embeddings."""
    return make_head(options.head, input_width=input_width, output_width=output_width, compute_type=compute_type)
