"""What the features of a record are, whether or not they are used: for `lit-embed inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_precompute.precompute.sources.records.examples import Record
from lit_precompute.precompute.sources.values import short

_MAX_TEXT_BYTES = 200


def shown_features(record: Record) -> Mapping[str, str]:
    """Returns the features' values; of bytes that are no text, or a long one, how many there are."""
    return {name: _shown(feature) for name, feature in sorted((record.features or {}).items())}


def _shown(feature: Any) -> str:
    kind = feature.WhichOneof("kind")
    values = [] if kind is None else list(getattr(feature, kind).value)
    if kind == "bytes_list":
        values = [_text(value) for value in values]
    return str(values[0]) if len(values) == 1 else short(values)


def _text(value: bytes) -> str:
    try:
        return value.decode() if len(value) <= _MAX_TEXT_BYTES else f"{len(value):,} bytes"
    except UnicodeDecodeError:
        return f"{len(value):,} bytes"
