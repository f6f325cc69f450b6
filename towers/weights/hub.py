"""Weights on Hugging Face's hub, through huggingface_hub: `hf://owner/name[@revision]/file`.

Promises: a file in its cache is used without a request; any other is downloaded into it, whole or not at all. The
library's environment variables decide the cache's place, the mirror, the token and offline use. A file that somebody
put into our own cache by hand is found too.
"""

from __future__ import annotations

import pathlib
import urllib.parse
from collections.abc import Sequence
from typing import Any

from lit_precompute.schemas.storage import Patience, with_patience
from lit_precompute.towers.weights.cache import cache_folder
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.fetching import Fetcher, Progress, cannot_fetch
from lit_precompute.towers.weights.folders import FOLDER_FILES, is_index, is_whole, missing_shards

SCHEME = "hf://"


def find_on_hub(place: str, *, any_name: bool, fetcher: Fetcher) -> pathlib.Path:
    """Returns the path on this machine of the file (or index of several) at `place`; it may be downloaded.

    Args:
      place: `hf://owner/name[@revision][/file]`; a slash in a revision is written %2F. Without a file, or with a slash
        at the end, a folder of weights.
      any_name: whether another of such a folder's names will do where the requested one does not exist.
      fetcher: how long to try, and what is called after each piece.

    Raises:
      WeightsError: the address is malformed, or the file is not available.
    """
    # Imported late: it takes a tenth of a second.
    from huggingface_hub import hf_hub_url

    repository, revision, file = _parse(place)
    within, slash, name = file.rpartition("/")
    names = (name,) if name else FOLDER_FILES
    if name in FOLDER_FILES and any_name:
        # Large models have an index in the place of the one file, older ones torch's.
        names = FOLDER_FILES[FOLDER_FILES.index(name) :]
    files = [f"{within}{slash}{name}" for name in names]
    by_hand = _folder_by_hand(repository, revision)
    if (found := _find_in_caches(repository, revision, files)) is not None:
        return found
    try:
        return _download(repository, revision, files, fetcher)
    except WeightsError:
        raise
    except Exception as error:
        raise cannot_fetch(
            place, hf_hub_url(repository, files[0], revision=revision), by_hand / files[0], error
        ) from error


def find_in_caches(place: str) -> pathlib.Path | None:
    """Returns the path of the file `hf://owner/name[@revision]/file` if it is on this machine, without a request.

    Raises:
      WeightsError: the address is malformed.
    """
    repository, revision, file = _parse(place)
    return _find_in_caches(repository, revision, [file])


def _find_in_caches(repository: str, revision: str, files: Sequence[str]) -> pathlib.Path | None:
    from huggingface_hub import try_to_load_from_cache

    by_hand = _folder_by_hand(repository, revision)
    cached = (try_to_load_from_cache(repository, file, revision=revision) for file in files)
    here = [pathlib.Path(path) for path in cached if isinstance(path, str)] + [by_hand / file for file in files]
    return next(filter(is_whole, here), None)


def _folder_by_hand(repository: str, revision: str) -> pathlib.Path:
    """Returns where somebody may put a repository's files in our own cache."""
    return cache_folder(f"huggingface.co://{repository}/{urllib.parse.quote(revision, safe='')}")


def _parse(place: str) -> tuple[str, str, str]:
    """Returns repository, revision and file; "" and a trailing slash mean a folder."""
    from huggingface_hub import parse_hf_uri

    form = f"{place}: must be hf://owner/name/file, or hf://owner/name@revision/file"
    try:
        found = parse_hf_uri(place)
    except ValueError as error:
        raise WeightsError(f"{form} ({error})") from error
    revision, file = found.revision or "main", found.path_in_repo
    # Both become part of a path on this machine.
    path = f"{revision}/{file}" if file else revision
    leads_out = any(part in ("", ".", "..") for part in path.split("/"))
    if found.type != "model" or leads_out or "\\" in path or not path.isprintable():
        raise WeightsError(form)
    return found.id, revision, f"{file}/" if file and place.endswith("/") else file


def _download(repository: str, revision: str, files: Sequence[str], fetcher: Fetcher) -> pathlib.Path:
    """Downloads the first of `files` that exists; for an index, all that it names."""
    from huggingface_hub import hf_hub_download

    def download(file: str, revision: str) -> pathlib.Path:
        bar = _telling(file.rpartition("/")[2], fetcher.progress)
        return pathlib.Path(hf_hub_download(repository, file, revision=revision, tqdm_class=bar))

    file = _first_there(repository, revision, files, fetcher.patience)
    path = download(file, revision)
    if is_index(path.name):
        within, slash, _ = file.rpartition("/")
        commit = path.parents[file.count("/")].name  # a branch could change between two files
        for shard in missing_shards(path):
            download(f"{within}{slash}{shard}", commit)
    return path


def _first_there(repository: str, revision: str, files: Sequence[str], patience: Patience) -> str:
    """Returns the first of `files` that the hub has.

    One request each: `hf_hub_download` tries for half a minute, and prints a line each time.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError

    for file in files:
        try:
            _check_there(hf_hub_url(repository, file, revision=revision), patience)
        except RemoteEntryNotFoundError:
            if file == files[-1]:
                raise
        else:
            return file
    raise AssertionError("there is at least one name")


def _check_there(url: str, patience: Patience) -> None:
    """Raises the library's error unless there is such a file; it does not try again by itself, as its downloads do."""
    from huggingface_hub import constants, get_hf_file_metadata

    if constants.HF_HUB_OFFLINE:
        get_hf_file_metadata(url)  # raises at once
    try:
        with_patience(url, lambda: get_hf_file_metadata(url), patience)
    except (FileNotFoundError, PermissionError) as error:
        raise error.__cause__ or error from None


def _telling(name: str, progress: Progress | None) -> type:
    """Returns a class that replaces the library's progress bars; it shows nothing and calls `progress`."""
    from huggingface_hub.utils import tqdm

    told = 0

    class Bar(tqdm):
        def __init__(self, *args: Any, **settings: Any):
            super().__init__(*args, **{**settings, "disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal told
            self.n += n or 0
            # One download can have two bars, of the bytes received and of those written.
            if progress is not None and self.n > told:
                told = int(self.n)
                progress(name, told, int(self.total or 0))

    return Bar
