"""Where fetched weights are kept: one folder for each remote folder, named after it.

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
    """Returns the folder that fetched files are kept in."""
    named = os.environ.get(_CACHE_VARIABLE)
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "lit-precompute" / "weights"
    return (pathlib.Path(named) if named else default).expanduser()


def cache_folder(place: str) -> pathlib.Path:
    """Returns the folder of our cache for the files of a remote folder: its address, or the hash of an odd one."""
    scheme, _, address = place.partition("://")
    parts = [scheme, *address.split("/")]
    if not all(is_plain_name(part) for part in parts):
        parts = ["other", hashlib.sha256(place.encode()).hexdigest()]
    return own_cache().joinpath(*parts)


def is_plain_name(name: str) -> bool:
    """Returns whether a part of an address can be a file's name here as it is."""
    return _PLAIN_NAME.fullmatch(name) is not None
