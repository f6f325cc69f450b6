"""How a model of sentence-transformers pools, from the file beside its `config.json`.

Source: sentence-transformers, the module Pooling (its folder is `1_Pooling`).
"""

from __future__ import annotations

import pathlib

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.schemas.storage import http_status
from lit_precompute.towers.text.options import Pooling
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.hub import SCHEME, find_in_caches

_NAME = "1_Pooling/config.json"
_MODE = "pooling_mode_"
_POOLINGS: dict[str, Pooling] = {"cls_token": "first", "mean_tokens": "average", "max_tokens": "max"}


def find_pooling(place: str, config: pathlib.Path) -> Pooling | None:
    """Returns the pooling of the model whose `config.json` was found, or None where nothing says it.

    Raises:
      ValueError: it pools in a way that is not known here.
    """
    path = config.parent / _NAME
    if not path.is_file():
        fetched = _fetch(place)
        if fetched is None:
            return None
        path = fetched
    content = read_json_object(path, "copy it again from where it came from")
    modes = [name.removeprefix(_MODE) for name, value in content.items() if name.startswith(_MODE) and value is True]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise ValueError(f"{path}: one of {', '.join(_POOLINGS)} must be its only mode of pooling, got {modes}")
    return _POOLINGS[modes[0]]


def _fetch(place: str) -> pathlib.Path | None:
    """Returns the file from a store or the hub; None where it is not, or where a cached model asks nobody."""
    is_cached = place.startswith(SCHEME) and find_in_caches(f"{place}/config.json") is not None
    if "://" not in place or place.startswith("package://") or is_cached:
        return None
    try:
        return pathlib.Path(find_weights(f"{place}/{_NAME}"))
    except WeightsError as error:
        if isinstance(error.__cause__, FileNotFoundError) or http_status(error.__cause__) == 404:
            return None
        raise
