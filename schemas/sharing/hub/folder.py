"""What a dataset's repository on the hub holds, laid out in a local folder.

The dataset is there as it is, so that it is read where it is (`hf://datasets/OWNER/NAME`). Beside it are the Parquet
twin, in `parquet/`, and the card, README.md.

Promises: every file was checked by its SHA-256; the manifest comes last, the card with it; laying out again, after a
kill or not, gives the same folder.
"""

import dataclasses
import errno
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lit_precompute.schemas.checking.receipt import Receipt, make_receipt
from lit_precompute.schemas.dataset_files import (
    CARD_NAME,
    TWIN,
    attachment_name,
    check_file,
    dataset_folder,
    list_name,
    missing_file,
)
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.sharing.hub.card import CardOptions, make_card
from lit_precompute.schemas.sharing.hub.twin import twin_names, write_failures, write_twin
from lit_precompute.schemas.storage import (
    MANIFEST_NAME,
    WORK_FOLDER,
    DatasetError,
    Folder,
    copy_file,
    is_url,
    write_bytes_atomically,
    write_text_atomically,
)
from lit_precompute.schemas.storage.publishing import publish, temporary_beside
from lit_precompute.schemas.tables import FAILURES

# The hub's limits: of a file, its recommendation; of a folder, what it refuses.
# Source: the hub's documentation, "Storage limits".
MAX_FILE_BYTES, MAX_FILES = 20 * 10**9, 10_000

Report = Callable[[int, int], None]


class Expected(NamedTuple):
    """One file of the dataset: its name, size and SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubFolder:
    """A repository's contents in a local folder.

    Attributes:
      path: the folder.
      manifest: of the dataset.
      files: names of all files but the last ones, in the order in which they are to be uploaded.
      last: names of those that make the dataset a finished one: lists, manifest, card.
    """

    path: pathlib.Path
    manifest: Manifest
    files: list[str]
    last: list[str]


def lay_out(
    dataset: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    repository: str,
    *,
    options: CardOptions | None = None,
    has_twin: bool = True,
    report: Report = lambda done, total: None,
) -> HubFolder:
    """Writes what a dataset's repository will hold, and returns it.

    Args:
      dataset: a local path or URL.
      folder: a local folder: new, or left by an earlier call. Files are hard links where the disk has them.
      repository: `OWNER/NAME`.
      options: what the card says beyond what the dataset knows.
      has_twin: whether tables are also written as Parquet, for the hub's viewer.
      report: called with the files that are there, and all.

    Raises:
      DatasetError: the dataset is not there, is damaged, refers to other datasets, or breaks a limit of the hub.
      FileExistsError: the folder holds something else.
    """
    source, target = dataset_folder(dataset), pathlib.Path(folder)
    manifest = Manifest.read(source)
    _check(source, manifest)
    _claim(target, manifest)
    expected = list(expected_files(manifest))
    twins = list(_twin_files(manifest)) if has_twin else []
    total = len(expected) + len(twins)
    for done, file in enumerate(expected):
        _put(source, target, file)
        report(done + 1, total)
    # From here on everything is read from the folder, whose files are here and were checked.
    write_bytes_atomically(target / MANIFEST_NAME, source.read(MANIFEST_NAME))
    for done, (table, shard, name) in enumerate(twins):
        _write_twin(target, manifest, table, shard, name)
        report(len(expected) + done + 1, total)
    tables = list(dict.fromkeys(table for table, _, _ in twins))
    card = make_card(repository, manifest, _receipts(target, manifest), tables, options or CardOptions())
    write_text_atomically(target / CARD_NAME, card)
    shutil.rmtree(target / WORK_FOLDER, ignore_errors=True)
    lists = [list_name(what, described.sha256) for what, described in manifest.lists.items()]
    return HubFolder(
        path=target,
        manifest=manifest,
        files=[*(file.name for file in expected if file.name not in lists), *(name for _, _, name in twins)],
        last=[*lists, MANIFEST_NAME, CARD_NAME],
    )


def expected_files(manifest: Manifest) -> Iterator[Expected]:
    """Yields every file of a dataset but its manifest."""
    for table in manifest.tables:
        for shard in np.flatnonzero(manifest.shards.files[table.name].num_bytes).tolist():
            file = manifest.shards.file(table.name, shard)
            assert file is not None
            yield Expected(file.name, file.info.bytes, file.info.sha256)
    for name, attachment in manifest.attachments.items():
        yield Expected(attachment_name(name), attachment.bytes, attachment.sha256)
    for what, described in manifest.lists.items():
        yield Expected(list_name(what, described.sha256), described.bytes, described.sha256)


def _check(source: Folder, manifest: Manifest) -> None:
    """Raises DatasetError if the hub cannot hold a dataset, or nobody could read it there."""
    if manifest.format_version < 3:
        raise DatasetError(f"{source.path}: is of format version {manifest.format_version}; embed again to publish it")
    for reference in manifest.references:
        if not is_url(reference.path):
            raise DatasetError(
                f"{source.path}: refers to {reference.path}, which nobody finds from the hub; publish what "
                "`lit-data flatten` makes of it"
            )
    for name, columns in manifest.shards.files.items():
        if (largest := int(columns.num_bytes.max(initial=0))) > MAX_FILE_BYTES:
            raise DatasetError(
                f"{source.path}: table '{name}' has a file of {largest:,} bytes, the hub takes at most "
                f"{MAX_FILE_BYTES:,}; embed with a smaller --rows-per-shard"
            )
        if (count := int(np.count_nonzero(columns.num_bytes))) >= MAX_FILES:
            raise DatasetError(
                f"{source.path}: table '{name}' has {count:,} files, the hub takes fewer than {MAX_FILES:,} in a "
                "folder; embed with a larger --rows-per-shard"
            )


def _claim(target: pathlib.Path, manifest: Manifest) -> None:
    """Makes the folder this dataset's.

    Raises:
      FileExistsError: it holds something else.
    """
    note, digest = target / WORK_FOLDER / "publish", manifest.digest.encode()
    if note.is_file() and note.read_bytes() == digest:
        return
    if (target / MANIFEST_NAME).is_file() and Manifest.read(target).digest == manifest.digest:
        return
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(errno.EEXIST, "holds something else; give an empty folder", str(target))
    write_bytes_atomically(note, digest)


def _put(source: Folder, target: pathlib.Path, file: Expected) -> None:
    """Puts a file of the dataset into the folder, and checks its bytes."""
    path, where = target / file.name, source.join(file.name)
    if path.exists():
        check_file(str(path), path, file)
    elif is_url(source.path):
        copy_file(where, path, check=lambda copy: check_file(where, copy, file))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            _link(pathlib.Path(where), temporary)
            check_file(where, temporary, file)
            publish(temporary, path)


def _link(path: pathlib.Path, target: pathlib.Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError as error:
        raise DatasetError(missing_file(str(path))) from error
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, target)


def _twin_files(manifest: Manifest) -> Iterator[tuple[str, int, str]]:
    """Yields table, shard and name of each file of the twin; the rows that failed are one file."""
    for table in manifest.tables:
        if table.aligned:
            yield from ((table.name, shard, name) for shard, name in twin_names(manifest, table))
        elif table.name == FAILURES and manifest.num_failures:
            yield FAILURES, 0, f"{TWIN}/{FAILURES}/part-00000.parquet"


def _write_twin(folder: pathlib.Path, manifest: Manifest, table: str, shard: int, name: str) -> None:
    aligned = manifest.table(table).aligned
    with EmbeddingDataset.open(folder, tables=[table] if aligned else []) as dataset:
        if aligned:
            write_twin(dataset, manifest.table(table), shard, folder / name)
        else:
            write_failures(dataset, folder / name)


def _receipts(folder: pathlib.Path, manifest: Manifest) -> dict[str, Receipt | None]:
    receipts: dict[str, Receipt | None] = {}
    for table in manifest.towers:
        with EmbeddingDataset.open(folder, tables=[table]) as dataset:
            receipts[table] = make_receipt(dataset)
    return receipts
