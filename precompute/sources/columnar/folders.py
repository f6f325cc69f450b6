"""The files of a columnar source, and their order: plain folders and patterns, and Hugging Face's datasets on disk.

Promises: only listings are read, and the small JSON files that name the files of a dataset on disk.

Source: huggingface/datasets, `Dataset.save_to_disk` and `DatasetDict.save_to_disk`: DATASET/state.json names the files
in order, beside dataset_info.json; DATASET/dataset_dict.json names the folders of splits.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from lit_precompute.precompute.sources.columnar.format import DEPTHS, endings_of
from lit_precompute.precompute.sources.files import Finder, Opener, open_first
from lit_precompute.precompute.sources.listing import has_marks, in_any_case, in_folder, list_files, relative_name
from lit_precompute.precompute.sources.source import ListedFile, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.precompute.sources.values import listed

_MAX_JSON_BYTES = 1 << 26


def list_source(spec: SourceSpec, kind: str, opener: Opener, find: Finder) -> list[ListedFile]:
    """Returns the files of a source, in order.

    Raises:
      SourceError: there are none, or no split of the name.
    """
    if kind == "huggingface":
        return [file for folder in _datasets(spec, opener) for file in _files_of(folder, opener, find)]
    files = _plain_files(spec.path, kind, find)
    return files if spec.split is None else _of_splits(files, spec.path, spec.split)


def relative_stem(given: str, path: str) -> str:
    """Returns a file's name without its ending, after the folders that it is in below what the user gave."""
    folder, slash, last = relative_name(given, path).rpartition("/")
    return f"{folder}{slash}{last.rpartition('.')[0] or last}"


def _plain_files(path: str, kind: str, find: Finder) -> list[ListedFile]:
    endings = endings_of(kind)
    if has_marks(path) or path.lower().endswith(endings):
        return list_files(path, find, endings)
    for depth in DEPTHS:
        below = f"{glob.escape(path.rstrip('/'))}/{depth}*"
        found = {each: file for ending in endings for each, file in find(below + in_any_case(ending)).items()}
        # What `datasets` keeps of its own steps beside a dataset in its cache.
        names = sorted(each for each in found if not each.rpartition("/")[2].startswith("cache-"))
        if names:
            return [_listed(each, found[each].num_bytes, found[each].version) for each in names]
    return list_files(path, find, endings)


def _listed(path: str, num_bytes: int | None, version: str) -> ListedFile:
    return ListedFile(path=path, num_bytes=num_bytes, version=version)


def _of_splits(files: Sequence[ListedFile], given: str, wanted: str) -> list[ListedFile]:
    """Returns the files of some splits, which the names of files or of their folders begin or end with."""
    chosen: list[ListedFile] = []
    for split in wanted.split("+"):
        name = re.compile(rf"(.+-)?{re.escape(split)}(-\d+(-of-\d+.*)?)?")
        found = [
            file
            for file in files
            for *folders, last in [relative_stem(given, file.path).split("/")]
            if split in folders or name.fullmatch(last)
        ]
        if not found:
            names = listed(relative_stem(given, file.path) for file in files)
            raise SourceError(f"{given}: no file of the split {split!r}, which --split names; there are {names}")
        chosen += found
    return chosen


def _datasets(spec: SourceSpec, opener: Opener) -> Iterator[str]:
    """Yields the folders of the datasets that are meant: the one at the path, or one of each split."""
    folder = spec.path.rstrip("/")
    wanted = [] if spec.split is None else spec.split.split("+")
    splits = _read_json(f"{folder}/dataset_dict.json", opener, is_required=False).get("splits")
    if splits is None:
        saved = _read_json(f"{folder}/state.json", opener).get("_split")
        if wanted and wanted != [saved]:
            what = "a dataset without splits; leave it out" if saved is None else f"the split {saved!r} alone"
            raise SourceError(f"{folder}: --split {spec.split} was asked for, and this is {what}")
        yield folder
        return
    if not isinstance(splits, list) or not all(isinstance(split, str) and _is_name(split) for split in splits):
        raise SourceError(f"{folder}/dataset_dict.json: 'splits' must be a list of names")
    if not wanted and len(splits) > 1:
        raise SourceError(f"{folder}: has the splits {listed(splits)}; name one with --split, or several as a+b")
    for split in wanted or splits:
        if split not in splits:
            raise SourceError(f"{folder}: has no split {split!r}, which --split names; there are {listed(splits)}")
        yield f"{folder}/{split}"


def _files_of(folder: str, opener: Opener, find: Finder) -> Iterator[ListedFile]:
    """Yields the files of one dataset as its state names them."""
    where = f"{folder}/state.json"
    state = _read_json(where, opener)
    if state.get("_indices_data_files"):
        raise SourceError(
            f"{folder}: its rows are chosen by a file of indices, as old versions of `datasets` save a selection; load "
            f"it and save it again with a newer version"
        )
    files = state.get("_data_files")
    names = (
        [file.get("filename") if isinstance(file, dict) else None for file in files] if isinstance(files, list) else []
    )
    if not names or not all(isinstance(name, str) and _is_name(name) for name in names):
        raise SourceError(f"{where}: '_data_files' must list files by their names")
    there = {file.path: file for file in in_folder(folder, find, (".arrow",))}
    for name in names:
        path = f"{folder}/{name}"
        if there and path not in there:
            raise SourceError(f"{where}: names {name}, which is not there; the dataset was copied or saved in part")
        yield there.get(path, ListedFile(path=path))


def _read_json(path: str, opener: Opener, *, is_required: bool = True) -> dict[str, Any]:
    """Returns the object in a JSON file; an empty one for no file, unless it is required."""
    try:
        stream = open_first(path, opener)
    except SourceError as error:
        if is_required or not isinstance(error.__cause__, FileNotFoundError):
            raise
        return {}
    with stream:
        data = stream.read(_MAX_JSON_BYTES)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{path}: must hold a JSON object")
    return value


def _is_name(name: str) -> bool:
    return bool(name) and "/" not in name and name not in (".", "..")
