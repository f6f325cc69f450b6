"""What Hugging Face's `datasets` notes in a file's schema: which columns are images, and the names of classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from lit_precompute.precompute.sources.source import SourceError

_KEY = b"huggingface"


def features_of(schema: pa.Schema, where: str) -> Mapping[str, Any]:
    """Returns the features by column; none if another program wrote the file.

    Raises:
      SourceError: they are not as `datasets` writes them; the message begins with `where`.
    """
    noted = (schema.metadata or {}).get(_KEY)
    if noted is None:
        return {}
    try:
        features = json.loads(noted)["info"]["features"] or {}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(f"{where}: the metadata 'huggingface' of the schema is damaged ({error!r:.100})") from error
    if not isinstance(features, dict):
        raise SourceError(f"{where}: the metadata 'huggingface' of the schema is damaged: its features are no object")
    return features


def kind_of(feature: Any) -> str:
    """Returns the kind of a feature, such as "Image"; of a list's elements for a list; "" for a struct."""
    inner = _element(feature)
    return inner.get("_type", "") if isinstance(inner, dict) and isinstance(inner.get("_type"), str) else ""


def class_names(features: Mapping[str, Any], top: str, steps: tuple[str, ...]) -> tuple[str, ...] | None:
    """Returns the names of a column's classes, if its values are their numbers."""
    feature = features.get(top)
    for step in steps:
        inner = _element(feature)
        feature = inner.get(step) if isinstance(inner, dict) else None
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    return tuple(map(str, names)) if isinstance(names, list) else None


def _element(feature: Any) -> Any:
    """Returns the feature of a list's elements, or the feature itself."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        return feature.get("feature")
    return feature
