"""Copying a dataset, or a part of it, from any store to any store.

Promises: every file is compared with its SHA-256 on its way, and the manifest is written last, so that nothing
half-copied is read as complete; a copy that was stopped at any moment is finished by the same call, with the same
bytes. A whole copy is the same dataset, to the byte. Memory is bounded by the files under way and one table's listing.
"""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.sharing.destination import CHOOSE_ANOTHER, Destination
from lit_precompute.schemas.sharing.excerpt import Excerpt
from lit_precompute.schemas.sharing.excerpt_files import ExcerptFiles
from lit_precompute.schemas.sharing.file_tasks import CopyProgress, carry_out
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.sharing.places import references_from
from lit_precompute.schemas.sharing.whole_files import WholeFiles
from lit_precompute.schemas.storage import DatasetError, Receiver, absolute, open_folder
from lit_precompute.schemas.writing.publishing import check_files

ALL = Part()
NUM_THREADS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copied:
    """A finished copy.

    Attributes:
      manifest: as it is read at the destination.
      was_there: whether all of it was there before.
    """

    manifest: Manifest
    was_there: bool


def copy_dataset(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    part: Part = ALL,
    *,
    report: Callable[[CopyProgress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda words: None,
    num_threads: int = NUM_THREADS,
) -> Copied:
    """Copies a dataset, or a part of it, unless it is there already.

    Args:
      source: the dataset: a local path or a URL.
      destination: a local path or a URL that can be written to; empty, or with what an earlier call has left.
      part: of the dataset.
      report: called after each file.
      say: called with a line about what the copy still needs elsewhere.
      num_threads: files to copy at once.

    Raises:
      DatasetError: the dataset is unfinished or damaged, has no such part, or has just been changed.
      ClaimError: the destination has another dataset, or the beginning of one, or other files.
    """
    if num_threads < 1:
        raise DatasetError(f"--threads must be >= 1, got {num_threads}")
    folder, target = dataset_folder(source), open_folder(absolute(destination, what="destination"))
    if target.path.startswith(f"{folder.path}/"):
        raise ClaimError(f"{target.path}: is within the dataset {folder.path}; {CHOOSE_ANOTHER}")
    manifest = Manifest.read(folder)
    part = part.of(manifest)
    references = [] if part.is_flat else references_from(manifest, folder, target, say)
    place = Destination(target)
    with Receiver() as receiver:
        if part.is_whole:
            files = WholeFiles(folder, manifest, references, target, receiver)
        else:
            files = ExcerptFiles(folder, manifest, Excerpt(manifest, part, references), target, receiver)
        if (found := _found(files, place)) is not None:
            return Copied(manifest=found, was_there=True)
        try:
            place.claim(files.described)
            tasks = ((table.name, files.tasks(table)) for table in files.own_tables)
            carry_out(target, tasks, _total(files, manifest), report, num_threads)
            files.publish()
        except (OSError, DatasetError, ClaimError):
            if not place.is_published():
                raise
            # Another process has copied the same, and has removed what only an unfinished copy needs.
    found = _found(files, place, are_files_there=True)
    assert found is not None, "was just published"
    return Copied(manifest=found, was_there=False)


def _found(files: WholeFiles | ExcerptFiles, place: Destination, *, are_files_there: bool = False) -> Manifest | None:
    """Returns the manifest of the place if all of the copy is there; None if it is not complete.

    Args:
      files: those of the copy.
      place: where it is.
      are_files_there: whether they have just been looked at, before the manifest was written.

    Raises:
      ClaimError: it has another dataset.
      DatasetError: it has this one, but files are missing.
    """
    if not place.is_published():
        return None
    folder = place.folder
    found = Manifest.read(folder)
    if not files.is_of(found):
        raise ClaimError(f"{folder.path}: has another dataset, of the digest {found.digest}; {CHOOSE_ANOTHER}")
    if not are_files_there:
        check_files(folder, found.shards, found.tables, found.references)
    place.sweep(table.name for table in found.tables)
    return found


def _total(files: WholeFiles | ExcerptFiles, manifest: Manifest) -> CopyProgress:
    """Returns how much there is to copy."""
    sizes = [manifest.shards.files[table.name].num_bytes[files.origins] for table in files.own_tables]
    return CopyProgress(
        all_files=sum(int(np.count_nonzero(of_table)) for of_table in sizes),
        all_bytes=sum(sum(of_table.tolist()) for of_table in sizes),
    )
