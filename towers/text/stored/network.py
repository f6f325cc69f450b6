"""The head over stored text embeddings, as a tower over float32 vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.heads.network import make_head
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.stored.options import StoredTextOptions

# As in other text towers, so that what locks all but the head locks nothing here.
_PREFIX = "head/"


def make_tower(options: StoredTextOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns the head; unlike a tower over tokens, it needs the width of the stored embeddings."""
    head = make_head(options.head, input_width=input_width, output_width=output_width, compute_type=compute_type)
    train = head.apply_in_training
    return dataclasses.replace(
        head,
        parameter_shapes={f"{_PREFIX}{name}": shape for name, shape in head.parameter_shapes.items()},
        apply=lambda parameters, vectors: head.apply(_own(parameters), vectors),
        apply_in_training=None
        if train is None
        else lambda parameters, vectors, keys: train(_own(parameters), vectors, keys),
        initialise=lambda key: {f"{_PREFIX}{name}": value for name, value in head.initialise(key).items()},
    )


def _own(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(_PREFIX): value for name, value in parameters.items()}
