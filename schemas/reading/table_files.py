"""Where each table of a dataset has its files: in the dataset's own folder, or in that of another one.

Promises: another dataset is the one that the manifest names, by its digest, and its files are those of the own list.
"""

import collections.abc
import posixpath
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from lit_precompute.schemas.dataset_files import dataset_folder, missing_file, wrong_size
from lit_precompute.schemas.manifest.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Reference, ShardFile
from lit_precompute.schemas.manifest.shard_list import ShardList
from lit_precompute.schemas.storage import DatasetError, Folder, is_url
from lit_precompute.schemas.tables import TableSchema

HOW_TO_FIND = "put that dataset back there, or derive again from where it is now (docs/derive.md)"


class TableFiles(collections.abc.Sequence[ShardFile | None]):
    """The files of one table, by shard; None where it has no rows."""

    def __init__(self, folder: Folder, shards: ShardList, table: str):
        """Takes the folder of the dataset that has the files, and its shards."""
        self.folder = folder
        self._shards, self._table = shards, table

    def __len__(self) -> int:
        """Returns the number of shards."""
        return len(self._shards)

    @overload
    def __getitem__(self, index: int) -> ShardFile | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[ShardFile | None]: ...
    def __getitem__(self, index: int | slice) -> ShardFile | None | list[ShardFile | None]:
        """Returns the file of a shard, or of several."""
        if isinstance(index, slice):
            return [self[shard] for shard in range(*index.indices(len(self)))]
        return self._shards.file(self._table, index)

    def missing(self) -> Iterator[str]:
        """Yields a message for each file that is missing or of another size, by one listing."""
        found = self.folder.find(self._table)
        sizes = self._shards.files[self._table].num_bytes
        for shard in np.flatnonzero(sizes).tolist():
            name = self._shards.file_name(self._table, shard)
            file, size = found.get(name.removeprefix(f"{self._table}/")), int(sizes[shard])
            if file is None:
                yield missing_file(self.folder.join(name))
            elif file.num_bytes != size:
                yield wrong_size(self.folder.join(name), file.num_bytes or 0, size)

    def check_sizes(self) -> None:
        """Raises DatasetError for the first file that is missing or of another size."""
        for fault in self.missing():
            raise DatasetError(fault)


class TableLocator:
    """Finds the files of a dataset's tables; opens each of the datasets that it refers to once."""

    def __init__(self, folder: Folder, shards: ShardList, references: Sequence[Reference]):
        """Takes a dataset: its folder, its shards, and what it refers to."""
        self._folder, self._shards, self._references = folder, shards, references
        self._opened: dict[int, tuple[Folder, Manifest]] = {}

    def files(self, table: TableSchema) -> TableFiles:
        """Returns the files of a table.

        Raises:
          DatasetError: it is in another dataset, which is not there, not the one referred to, or has not this table.
        """
        if table.reference is None:
            return TableFiles(self._folder, self._shards, table.name)
        folder, manifest = self._open(table.reference)
        self._check(folder, manifest, table)
        return TableFiles(folder, manifest.shards, table.name)

    def _open(self, number: int) -> tuple[Folder, Manifest]:
        if number not in self._opened:
            self._opened[number] = open_reference(self._folder, self._references[number])
        return self._opened[number]

    def _check(self, folder: Folder, other: Manifest, table: TableSchema) -> None:
        """Raises DatasetError unless another dataset has this table, with the files that the own list names."""
        found = other.table(table.name)
        where = f"{folder.path}: table '{table.name}', which {self._folder.path} refers to,"
        if found.reference is not None:
            raise DatasetError(f"{where} must have its files there, not in a third dataset; refer to that one")
        if found.content_json() != table.content_json():
            raise DatasetError(f"{where} must have the columns {table.columns}, got {found.columns}")
        own, others = self._shards, other.shards
        if own.block_rows != others.block_rows or len(own) != len(others):
            raise DatasetError(
                f"{where} must have {len(own)} shards in blocks of {own.block_rows} rows, got {len(others)} in blocks "
                f"of {others.block_rows}"
            )
        same = own.rows_of(table.name) == others.rows_of(table.name)
        for one, two in zip(own.files[table.name], others.files[table.name], strict=True):
            same &= (one == two).reshape(len(own), -1).all(axis=1)
        if not same.all():
            raise DatasetError(
                f"{where} must have the files that the list of shards names, shard {np.argmin(same)} differs"
            )


def open_reference(folder: Folder, reference: Reference) -> tuple[Folder, Manifest]:
    """Returns the folder and the manifest of the dataset that another one, in `folder`, refers to.

    Raises:
      DatasetError: it is not there, or has changed.
    """
    base = dataset_folder(place_of(folder, reference))
    refers = f"{folder.path}: refers to the dataset at {base.path}"
    try:
        manifest = Manifest.read(base)
    except DatasetError as error:
        is_there = not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
        fault = f"cannot be opened: {error}" if is_there else "is not there"
        raise DatasetError(f"{refers}, which {fault}; {HOW_TO_FIND}") from error
    if manifest.digest != reference.digest:
        raise DatasetError(
            f"{refers} with the digest {reference.digest}, got {manifest.digest}: it is another dataset; {HOW_TO_FIND}"
        )
    return base, manifest


def place_of(folder: Folder, reference: Reference) -> str:
    """Returns where a reference leads: its path is absolute, or relative to the dataset's folder."""
    path = reference.path
    if is_url(path) or posixpath.isabs(path):
        return path
    scheme, separator, inner = folder.path.rpartition("://")
    return f"{scheme}{separator}{posixpath.normpath(posixpath.join(inner, path))}"
