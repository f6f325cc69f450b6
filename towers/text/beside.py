"""Files beside a tower's `config.json`, and what they say of it: how it pools, and which tokenizer it has.

Promises: a model that is in a cache asks nobody: what is not there beside its `config.json` counts as absent. So these
files are looked for before `config.json` is fetched.

Source: sentence-transformers, the module Pooling (its folder is `1_Pooling`).
"""

from __future__ import annotations

import pathlib

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.towers.text.options import Pooling
from lit_precompute.towers.tokenizers import SentencePieceOptions, TokenizerOptions
from lit_precompute.towers.tokenizers.finding import find_file
from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions
from lit_precompute.towers.weights.hub import SCHEME, find_in_caches

CONFIG_NAME = "config.json"
_POOLING_NAME, _TOKENIZER_NAME, _PIECES_NAME = "1_Pooling/config.json", "tokenizer.json", "spiece.model"
_MODE = "pooling_mode_"
_POOLINGS: dict[str, Pooling] = {"cls_token": "first", "mean_tokens": "average", "max_tokens": "max"}


def find_pooling(place: str) -> Pooling | None:
    """Returns the pooling of a model of sentence-transformers; None where the folder at `place` says nothing.

    Raises:
      ValueError: it pools in a way that is not known here.
      WeightsError: the server does not answer.
    """
    path = _find(place, _POOLING_NAME)
    if path is None:
        return None
    content = read_json_object(path, "copy it again from where it came from")
    modes = [name.removeprefix(_MODE) for name, value in content.items() if name.startswith(_MODE) and value is True]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise ValueError(f"{path}: one of {', '.join(_POOLINGS)} must be its only mode of pooling, got {modes}")
    return _POOLINGS[modes[0]]


def find_tokenizer(place: str) -> TokenizerOptions:
    """Returns the tokenizer of the folder at `place`; T5's and mT5's authors published a SentencePiece model alone.

    Raises:
      WeightsError: the server does not answer.
    """
    if _find(place, _TOKENIZER_NAME) is None and _find(place, _PIECES_NAME) is not None:
        return SentencePieceOptions(path=place, special_tokens="published")
    return HuggingFaceOptions(path=place)


def _find(place: str, name: str) -> pathlib.Path | None:
    """Returns the path of a file in the folder at `place`, which may be fetched; None where there is none."""
    file = f"{place}/{name}"
    if "://" not in place:
        return path if (path := pathlib.Path(file).expanduser()).is_file() else None
    if place.startswith(SCHEME) and find_in_caches(f"{place}/{CONFIG_NAME}") is not None:
        return find_in_caches(file)
    return find_file(file)
