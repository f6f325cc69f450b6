"""From where a tokenizer is published to its files on this machine: its vocabulary, and the settings beside it.

    a file or a folder, owner/name of a repository, or any place that `towers.weights.finding` knows: hf://owner/name,
    https://..., gs://..., s3://..., package://name/folder; each names a file, or a folder that holds one

Promises: a vocabulary in a cache is used without a request, with the settings that are beside it there; of another, the
settings are fetched first, so that a vocabulary is never found without them.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from lit_precompute.schemas.storage import http_status, in_words, local_path
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.hub import SCHEME, find_in_caches

CONFIG_NAME = "tokenizer_config.json"
# Older than tokenizer_config.json, which names the same tokens and is believed first.
TOKENS_NAME = "special_tokens_map.json"
_BESIDE = (CONFIG_NAME, TOKENS_NAME)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_ENDINGS = (".json", ".txt", ".model")


class TokenizerFiles(NamedTuple):
    """The files of a tokenizer on this machine.

    Attributes:
      vocabulary: the path of the vocabulary.
      beside: the paths of the settings that there are, by name.
    """

    vocabulary: pathlib.Path
    beside: dict[str, pathlib.Path]


def find_files(place: str, names: Sequence[str], advice: str) -> TokenizerFiles:
    """Returns a tokenizer's files; they may be fetched.

    Args:
      place: see the module.
      names: what vocabularies are called in a folder, in the order in which they are tried.
      advice: what else to try where a folder holds none of them.

    Raises:
      ValueError: there is no such file, it cannot be had, or the folder holds none of these names.
    """
    local = pathlib.Path(place).expanduser()
    if local.is_file():
        return _with_settings(local)
    if local.is_dir():
        found = next((local / name for name in names if (local / name).is_file()), None)
        if found is None:
            raise _none_of(place, names, advice)
        return _with_settings(found)
    is_file = place.endswith(_FILE_ENDINGS)
    if "://" not in place and "::" not in place:
        if is_file or not _REPOSITORY.fullmatch(place):
            raise ValueError(
                f"tokenizer.path {place!r}: no such file; give a vocabulary, a folder that holds one, or a repository "
                "such as google-bert/bert-base-uncased"
            )
        place = f"{SCHEME}{place}"
    folder, name = place.rstrip("/").rpartition("/")[::2] if is_file else (place.rstrip("/"), "")
    try:
        found = _find_elsewhere(folder, (name,) if is_file else names)
    except WeightsError as error:
        if not isinstance(error.__cause__, Exception):  # a malformed address: nothing was asked for
            raise
        raise ValueError(
            f"tokenizer.path {place!r}: is not on this machine and could not be fetched ({in_words(error.__cause__)}). "
            f"Get {' or '.join(names)} from there, with {' and '.join(_BESIDE)} if there are any, and give their folder"
        ) from error
    if found is None:
        raise _none_of(place, names, advice)
    return found


def _find_elsewhere(folder: str, names: Sequence[str]) -> TokenizerFiles | None:
    """Returns a tokenizer's files from a repository, a store, the web or a package; None where it has none."""
    if folder.startswith(SCHEME):
        for name in names:
            if (found := find_in_caches(f"{folder}/{name}")) is not None:
                return _with_settings(found)
    beside = {name: path for name in _BESIDE if (path := find_file(f"{folder}/{name}")) is not None}
    for name in names:
        if (found := find_file(f"{folder}/{name}")) is not None:
            return TokenizerFiles(found, beside)
    return None


def find_file(place: str) -> pathlib.Path | None:
    """Returns the path of a file, which may be fetched; None where it is certain that there is no such file.

    Raises:
      WeightsError: the server does not answer, or refuses.
    """
    if place.startswith("file://"):
        path = local_path(place)
        return path if path is not None and path.is_file() else None
    try:
        return pathlib.Path(find_weights(place))
    except WeightsError as error:
        if place.startswith("package://") or _is_not_there(error.__cause__):
            return None
        raise


def _is_not_there(error: BaseException | None) -> bool:
    """Returns whether a store or the hub said that there is no such file; offline, it may well be there."""
    if type(error).__name__ == "LocalEntryNotFoundError":  # huggingface_hub's, of a machine that is offline
        return False
    return isinstance(error, FileNotFoundError) or http_status(error) == 404


def _with_settings(vocabulary: pathlib.Path) -> TokenizerFiles:
    beside = {name: vocabulary.with_name(name) for name in _BESIDE}
    return TokenizerFiles(vocabulary, {name: path for name, path in beside.items() if path.is_file()})


def _none_of(place: str, names: Sequence[str], advice: str) -> ValueError:
    return ValueError(f"tokenizer.path {place!r}: holds none of {', '.join(names)}, or is not there; {advice}")
