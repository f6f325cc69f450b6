"""The cache on this machine: fetched weights by remote folder, class embeddings, packages for workers.

Promises: two addresses never share a folder, and no address leads out of the cache. `LIT_PRECOMPUTE_CACHE` moves it.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re

_CACHE_VARIABLE = "LIT_PRECOMPUTE_CACHE"
_PLAIN_NAME = re.compile(r"[\w=+,~%-][\w.:=+,~%@-]*")


def own_cache() -> pathlib.Path:
    """Returns the folder of weights."""
    return (_named_folder() or _default_folder() / "weights").expanduser()


def class_embeddings_folder() -> pathlib.Path:
    """Returns the folder of class embeddings (tune/evaluation/class_embedding_cache.py)."""
    return ((_named_folder() or _default_folder()) / "class-embeddings").expanduser()


def staged_packages_folder() -> pathlib.Path:
    """Returns the folder of packages that workers install (pipelines/engines/staging.py)."""
    return ((_named_folder() or _default_folder()) / "staged").expanduser()


def _named_folder() -> pathlib.Path | None:
    named = os.environ.get(_CACHE_VARIABLE)
    return pathlib.Path(named) if named else None


def _default_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "lit-precompute"


def cache_folder(place: str) -> pathlib.Path:
    """Returns our cache's folder for a remote folder: named by its address, or by the hash of an odd one."""
    scheme, _, address = place.partition("://")
    parts = [scheme, *address.split("/")]
    if not all(is_plain_name(part) for part in parts):
        parts = ["other", hashlib.sha256(place.encode()).hexdigest()]
    return own_cache().joinpath(*parts)


def is_plain_name(name: str) -> bool:
    """Returns whether a part of an address can be used unchanged as a file's name."""
    return _PLAIN_NAME.fullmatch(name) is not None
