"""The cache of fetched weights: one folder for each remote folder, named after it.

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
    """Returns the cache's folder."""
    named = os.environ.get(_CACHE_VARIABLE)
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "lit-precompute" / "weights"
    return (pathlib.Path(named) if named else default).expanduser()


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
