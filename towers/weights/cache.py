"""The cache on this machine: fetched weights by remote folder, class embeddings, packages for workers.

Promises: two addresses never share a folder, and no address leads out of the cache. `LIT_PRECOMPUTE_CACHE` moves it.
"""

from __future__ import annotations

import hashlib
import pathlib
import re

from lit_precompute.schemas.machine_cache import default_cache, folder_in_cache, named_cache

_PLAIN_NAME = re.compile(r"[\w=+,~%-][\w.:=+,~%@-]*")


def own_cache() -> pathlib.Path:
    """Returns the folder of weights."""
    return named_cache() or default_cache() / "weights"


def class_embeddings_folder() -> pathlib.Path:
    """Returns the folder of class embeddings (tune/evaluation/class_embedding_cache.py)."""
    return folder_in_cache("class-embeddings")


def staged_packages_folder() -> pathlib.Path:
    """Returns the folder of packages that workers install (pipelines/engines/staging.py)."""
    return folder_in_cache("staged")


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
