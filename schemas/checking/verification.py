"""Checking a whole dataset: every file, every block, every row, the lists and the ledger.

Promises: every fault is reported, not only the first; memory use is eight bytes per row, one block, and one listing.
Files in a store are fetched, checked and removed one by one. Not here: repair.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.checking.block_faults import block_faults
from lit_precompute.schemas.checking.faults import ANEW, CHECK_THE_PATH, REMOVE, Fault, from_a_copy, without_manifest
from lit_precompute.schemas.dataset_files import (
    attachment_name,
    check_file,
    dataset_folder,
    is_beside,
    list_name,
    read_checked,
)
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import ShardFile
from lit_precompute.schemas.reading.table_files import HOW_TO_FIND, TableFiles, TableLocator
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError, Folder
from lit_precompute.schemas.tables import EMBEDDINGS, KEY, TableSchema
from lit_precompute.schemas.wording import counted

# Faults reported per file: a badly damaged one would otherwise fill the screen.
_MAX_FAULTS_PER_FILE = 5
_SHARD = re.compile(r"([^/]+)/part-(\d{5,18})[-.].*")


def verify(path: str | os.PathLike[str] | Folder, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Returns a message for every fault of a dataset; a sound dataset has none. See `find_faults`."""
    return [fault.message for fault in find_faults(path, progress)]


def find_faults(
    path: str | os.PathLike[str] | Folder, progress: Callable[[int, int], None] | None = None
) -> list[Fault]:
    """Returns every fault of a dataset, with what mends it; a sound dataset has none.

    Args:
      path: the dataset: a local path, a URL or a folder.
      progress: called with (files checked, number of files) after each file.
    """
    try:
        folder = dataset_folder(path)
    except DatasetError as error:
        return [Fault(str(error), CHECK_THE_PATH)]
    try:
        manifest = Manifest.read(folder)
    except DatasetError as error:
        return [Fault(str(error), without_manifest(folder))]
    return list(_Verification(folder, manifest, progress or (lambda *_: None)).faults())


class _Verification:
    """One pass over a dataset."""

    def __init__(self, folder: Folder, manifest: Manifest, progress: Callable[[int, int], None]):
        self._folder = folder
        self._manifest = manifest
        self._progress = progress
        self._shards = manifest.shards
        self._tables: list[tuple[TableSchema, TableFiles, TableReader]] = []
        self._num_files = self._num_checked = 0
        self._key_hashes = bytearray()

    def faults(self) -> Iterator[Fault]:
        yield from self._stray_files()
        yield from self._small_files()
        yield from self._find_tables()
        try:
            first_row = 0
            for shard, num_rows in enumerate(self._shards.num_rows.tolist()):
                yield from self._shard(shard, first_row)
                first_row += num_rows
        finally:
            for _, _, reader in self._tables:
                reader.close()
        yield from self._repeated_keys()

    def _stray_files(self) -> Iterator[Fault]:
        """Yields a fault for each file in the dataset's own folder that is not the dataset's."""
        if not self._folder.can_list:
            return
        manifest = self._manifest
        expected = {
            MANIFEST_NAME,
            *(list_name(what, info.sha256) for what, info in manifest.lists.items()),
        }
        expected |= {attachment_name(name) for name in manifest.attachments}
        own = {table.name for table in manifest.tables if table.reference is None}
        for name in sorted(self._folder.find()):
            if name not in expected and not is_beside(name) and not self._is_shard(name, own):
                yield Fault(f"{self._folder.join(name)}: not a file of this dataset; remove it", REMOVE)

    def _is_shard(self, name: str, own: set[str]) -> bool:
        match = _SHARD.fullmatch(name)
        if not match or match[1] not in own or int(match[2]) >= len(self._shards):
            return False
        file = self._shards.file(match[1], int(match[2]))
        return file is not None and file.name == name

    def _small_files(self) -> Iterator[Fault]:
        """Yields the faults of attachments and of the source's list."""
        for name, info in self._manifest.attachments.items():
            try:
                read_checked(self._folder, attachment_name(name), info)
            except DatasetError as error:
                yield Fault(str(error), from_a_copy(self._folder))
        try:
            _ = self._manifest.source.files
        except DatasetError as error:
            yield Fault(str(error), from_a_copy(self._folder))

    def _find_tables(self) -> Iterator[Fault]:
        """Opens the tables; yields a fault for each that is in another dataset and is not found there."""
        locator = TableLocator(self._folder, self._shards, self._manifest.references)
        said = set[str]()  # one dataset may have several of the tables
        for table in self._manifest.tables:
            try:
                files = locator.files(table)
            except DatasetError as error:
                if (words := str(error).removesuffix(f"; {HOW_TO_FIND}")) not in said:
                    said.add(words)
                    yield Fault(words, HOW_TO_FIND)
                continue
            self._tables.append((table, files, TableReader(files.folder, table, files)))
            self._num_files += int(np.count_nonzero(self._shards.files[table.name].num_bytes))

    def _shard(self, shard: int, first_row: int) -> Iterator[Fault]:
        """Yields the faults of one shard, including keys that differ between its tables."""
        keys_of: dict[str, bytes] = {}
        for table, files, reader in self._tables:
            file = files[shard]
            if file is None:
                continue
            keys = hashlib.sha256()
            whole = True
            for fault in self._file(table, file, files.folder, reader, shard, first_row, keys):
                whole = False
                yield fault
            reader.forget(shard)
            if whole and table.aligned:
                keys_of[table.name] = keys.digest()
            self._num_checked += 1
            self._progress(self._num_checked, self._num_files)
        if len(set(keys_of.values())) > 1:
            words = f"the keys of {sorted(keys_of)} differ: these tables have different rows; rewrite the wrong one"
            yield Fault(f"{self._folder.path}: shard {shard}: {words}", ANEW)

    def _file(
        self,
        table: TableSchema,
        file: ShardFile,
        folder: Folder,
        reader: TableReader,
        shard: int,
        first_row: int,
        keys: Any,
    ) -> Iterator[Fault]:
        where = folder.join(file.name)
        words, goes_on = _file_fault(where, file, reader, shard)
        remedy = from_a_copy(folder) if words else ANEW
        if words:
            yield Fault(words, remedy)
        if not goes_on:
            return
        for number, words in enumerate(self._blocks(table, file, where, reader, shard, first_row, keys)):
            if number == _MAX_FAULTS_PER_FILE:
                yield Fault(f"{where}: more faults follow", remedy)
                break
            yield Fault(words, remedy)

    def _blocks(
        self,
        table: TableSchema,
        file: ShardFile,
        where: str,
        reader: TableReader,
        shard: int,
        first_row: int,
        keys: Any,
    ) -> Iterator[str]:
        block_rows, num_rows, num_blocks = self._manifest.block_rows, file.info.num_rows, file.info.num_blocks
        try:
            num_records = reader.num_records(shard)
        except DatasetError as error:
            yield str(error)
            return
        if num_records != num_blocks:
            yield f"{where}: must have {num_blocks} blocks, got {num_records}"
        for block in range(min(num_blocks, num_records)):
            at = f"{where}: block {block}"
            try:
                batch = reader.read(shard, block)
            except DatasetError as error:
                yield str(error)
                continue
            expected = min(block_rows, num_rows - block * block_rows)
            if batch.num_rows != expected:
                yield f"{at}: must have {counted(expected, 'row')}, got {batch.num_rows:,}"
            self._note_keys(batch, table, keys)
            yield from block_faults(self._manifest, table, batch, first_row + block * block_rows, at)

    def _note_keys(self, batch: pa.RecordBatch, table: TableSchema, keys: Any) -> None:
        for key in batch.column(KEY).to_pylist():
            data = key.encode()
            keys.update(len(data).to_bytes(8, "little") + data)
            if table.name == EMBEDDINGS:
                self._key_hashes += hashlib.blake2b(data, digest_size=8).digest()

    def _repeated_keys(self) -> Iterator[Fault]:
        hashes = np.frombuffer(self._key_hashes, np.uint64)
        hashes.sort()  # in place: a copy would double the memory
        same = hashes[1:] == hashes[:-1]
        # The first of each run of equal hashes.
        repeated = int(same.sum() - (same[1:] & same[:-1]).sum())
        if repeated:
            yield Fault(f"{self._folder.path}: keys must be unique, {repeated:,} occur more than once", ANEW)


def _file_fault(where: str, file: ShardFile, reader: TableReader, shard: int) -> tuple[str, bool]:
    """Returns what is wrong with a file as a whole ("" if nothing is), and whether its blocks can be looked at."""
    try:
        path = reader.local_path(shard)
    except DatasetError as error:
        return str(error), False
    try:
        check_file(where, path, file.info)
    except DatasetError as error:
        # Blocks of ArrayRecord have checksums of their own, which tell what is damaged.
        return str(error), not file.is_one_block and path.stat().st_size == file.info.bytes
    return "", True
