"""Mending a dataset's files from copies: any dataset that has files of the same SHA-256, whole or in part.

Promises: a file is replaced only by the one that the manifest describes, checked on its way; one that cannot be mended
stays as it is. A manifest is mended only from a copy whose lists, by their names, are those that are here.
"""

import concurrent.futures
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pydantic

from lit_precompute.schemas.dataset_files import Described, attachment_name, dataset_folder, is_list_name, list_name
from lit_precompute.schemas.json_files import JsonFileError, parse_json_object
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.document import Document, digest
from lit_precompute.schemas.manifest.parts import ListInfo
from lit_precompute.schemas.manifest.source import SHARD_LIST
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.sharing.transfer import SCRATCH_NAME, check_whole, transfer
from lit_precompute.schemas.sharing.wrong_files import OwnFile
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, Folder, Receiver, list_names

_TEMPORARY = f"{WORK_FOLDER}/temporary"


class Place(NamedTuple):
    """Where a copy has a file."""

    folder: Folder
    name: str


class Copies:
    """Datasets that may have the files that are wrong elsewhere."""

    def __init__(self, paths: Sequence[str]):
        """Reads their manifests.

        Raises:
          DatasetError: one of them is no complete dataset.
        """
        folders = [dataset_folder(path) for path in paths]
        self.datasets = [(folder, Manifest.read(folder)) for folder in folders]

    def places(self, files: Iterable[Described]) -> dict[str, list[Place]]:
        """Returns the places of the files that copies have, by SHA-256."""
        wanted = {file.sha256 for file in files}
        found: dict[str, list[Place]] = {}
        for folder, manifest in self.datasets:
            for sha256, place in (*_small(folder, manifest), *_of_tables(folder, manifest, wanted)):
                if sha256 in wanted:
                    found.setdefault(sha256, []).append(place)
        return found


def mend(folder: Folder, wrong: Iterable[OwnFile], copies: Copies, num_threads: int) -> dict[OwnFile, str]:
    """Replaces files by those that copies have; returns those that could not be mended, and why not.

    Args:
      folder: the dataset.
      wrong: its files that are wrong.
      copies: where to look.
      num_threads: files to copy at once.
    """
    places = copies.places(file.described for file in wrong)

    def mend_one(file: OwnFile) -> str:
        words = f"{folder.join(file.name)}: no copy has this file"
        for place in places.get(file.described.sha256, ()):
            try:
                transfer(place.folder, place.name, file.described, folder, file.name, receiver)
            except DatasetError as error:
                words = str(error)
            else:
                return ""
        return words

    with Receiver() as receiver, concurrent.futures.ThreadPoolExecutor(num_threads) as threads:
        left = {file: words for file, words in zip(wrong, threads.map(mend_one, wrong), strict=True) if words}
    remove_scratch(folder)
    return left


def mend_manifest(folder: Folder, copies: Copies) -> list[str]:
    """Mends a manifest and its list of shards if they cannot be read; returns the names of the files that were mended.

    Raises:
      DatasetError: no copy has them.
    """
    if _is_readable(folder):
        return []
    mended: list[str] = []
    info = _list_named(folder)
    if info is None:
        other, manifest = _same_lists(folder, copies)
        folder.write(MANIFEST_NAME, other.read(MANIFEST_NAME))
        mended.append(MANIFEST_NAME)
        info = manifest.lists[SHARD_LIST]
    name = list_name(SHARD_LIST, info.sha256)
    with Receiver() as receiver:
        try:
            check_whole(folder, name, info, receiver)
        except DatasetError:
            places = copies.places([info]).get(info.sha256)
            if not places:
                raise
            transfer(*places[0], info, folder, name, receiver)
            mended.append(name)
    remove_scratch(folder)
    return mended


def remove_scratch(folder: Folder) -> None:
    """Removes the folder of temporary files that a dataset on this machine had meanwhile."""
    folder.remove(*(f"{_TEMPORARY}/{name}" for name in folder.find(_TEMPORARY) if name.startswith(SCRATCH_NAME)))
    if not folder.find(WORK_FOLDER):  # of a job that embeds failed rows again
        folder.remove_folder(WORK_FOLDER)


def _is_readable(folder: Folder) -> bool:
    try:
        Manifest.read(folder)
    except DatasetError:
        return False
    return True


def _list_named(folder: Folder) -> ListInfo | None:
    """Returns the list of shards that a manifest names, though it is not there; None if it cannot be read itself."""
    where = folder.join(MANIFEST_NAME)
    try:
        content: dict[str, Any] = parse_json_object(folder.read(MANIFEST_NAME), where, "")
        document = Document.model_validate_json(json.dumps(content))
    except (FileNotFoundError, JsonFileError, pydantic.ValidationError):
        return None
    return document.lists.shards if document.digest == digest(content) else None


def _same_lists(folder: Folder, copies: Copies) -> tuple[Folder, Manifest]:
    """Returns a copy whose lists are those beside a manifest that cannot be read.

    Raises:
      DatasetError: there is none.
    """
    here = {name for name in list_names(folder.path).files if is_list_name(name)}
    for other, manifest in copies.datasets:
        names = {list_name(what, info.sha256) for what, info in manifest.lists.items()}
        if names and names <= here:
            return other, manifest
    raise DatasetError(
        f"{folder.join(MANIFEST_NAME)}: cannot be read, and no copy has the lists that are beside it; copy the dataset "
        "anew with lit-data copy, to another folder"
    )


def _small(folder: Folder, manifest: Manifest) -> Iterator[tuple[str, Place]]:
    for name, attachment in manifest.attachments.items():
        yield attachment.sha256, Place(folder, attachment_name(name))
    for what, info in manifest.lists.items():
        yield info.sha256, Place(folder, list_name(what, info.sha256))


def _of_tables(folder: Folder, manifest: Manifest, wanted: set[str]) -> Iterator[tuple[str, Place]]:
    """Yields the places of those files of tables that may be wanted; hashes are compared by their first eight bytes."""
    beginnings = np.array([int.from_bytes(bytes.fromhex(sha256)[:8], "little") for sha256 in wanted], np.uint64)
    locator = TableLocator(folder, manifest.shards, manifest.references)
    for table in manifest.tables:
        hashes = manifest.shards.files[table.name].sha256
        first = np.ascontiguousarray(hashes[:, :8]).view("<u8").ravel()
        shards = np.flatnonzero(np.isin(first, beginnings)).tolist()
        files = locator.files(table) if shards else None
        for shard in shards:
            if files is not None and (file := files[shard]):
                yield file.info.sha256, Place(files.folder, file.name)
