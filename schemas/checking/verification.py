"""Checking a whole dataset: every file, every block, every row, and the ledger.

Promises: every fault is reported, not only the first; memory use is eight bytes per row and one block.
Not here: repair.
"""

import base64
import binascii
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest_parts import Probe, ShardInfo
from lit_precompute.schemas.probes import decode_vector
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import HOW_TO_MEND, MANIFEST_NAME, DatasetError, file_sha256
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS, KEY, TableSchema
from lit_precompute.schemas.vectors import LARGEST, SMALLEST_SCALE, StoredVectors, store
from lit_precompute.schemas.wording import counted

# Faults reported per file: a badly damaged one would otherwise fill the screen.
_MAX_FAULTS_PER_FILE = 5


def verify(path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Returns a message for every fault of a dataset; a sound dataset has none.

    Args:
      path: the dataset.
      progress: called with (files checked, number of files) after each file.
    """
    directory = pathlib.Path(path)
    try:
        manifest = Manifest.read(path)
    except DatasetError as error:
        return [str(error)]
    return list(_Verification(directory, manifest, progress or (lambda *_: None)).faults())


class _Verification:
    """One pass over a dataset."""

    def __init__(self, directory: pathlib.Path, manifest: Manifest, progress: Callable[[int, int], None]):
        self._directory = directory
        self._manifest = manifest
        self._progress = progress
        self._num_files = len(manifest.shards) * len(manifest.tables)
        self._num_checked = 0
        self._key_hashes: list[np.ndarray[Any, Any]] = []

    def faults(self) -> Iterator[str]:
        yield from self._stray_files()
        first_row = 0
        for shard in self._manifest.shards:
            yield from self._shard(shard, first_row)
            first_row += shard.num_rows
        yield from self._repeated_keys()

    def _stray_files(self) -> Iterator[str]:
        expected = {file.path for shard in self._manifest.shards for file in shard.files.values()} | {MANIFEST_NAME}
        for path in sorted(self._directory.rglob("*")):
            relative = path.relative_to(self._directory).as_posix()
            if path.is_file() and relative not in expected:
                yield f"{path}: not a file of this dataset; remove it"

    def _shard(self, shard: ShardInfo, first_row: int) -> Iterator[str]:
        """Yields the faults of one shard, including keys that differ between its tables."""
        keys_of: dict[str, bytes] = {}
        for table in self._manifest.tables:
            keys = hashlib.sha256()
            whole = True
            for fault in self._file(shard, table, first_row, keys):
                whole = False
                yield fault
            if whole and table.aligned:
                keys_of[table.name] = keys.digest()
            self._num_checked += 1
            self._progress(self._num_checked, self._num_files)
        if len(set(keys_of.values())) > 1:
            yield (
                f"{self._directory}: shard {shard.shard}: the keys of {sorted(keys_of)} differ: these tables have "
                "different rows; rewrite the wrong one"
            )

    def _file(self, shard: ShardInfo, table: TableSchema, first_row: int, keys: Any) -> Iterator[str]:
        info = shard.files[table.name]
        path = self._directory / info.path
        try:
            reader = TableReader(self._directory, table, [info])
        except DatasetError as error:
            yield str(error)
            return
        found = file_sha256(path)
        if found != info.sha256:
            yield f"{path}: SHA-256 must be {info.sha256}, got {found}; the file was changed: {HOW_TO_MEND}"
        for number, fault in enumerate(self._blocks(reader, path, table, info.num_rows, first_row, keys)):
            if number == _MAX_FAULTS_PER_FILE:
                yield f"{path}: more faults follow"
                break
            yield fault
        reader.close()

    def _blocks(
        self, reader: TableReader, path: pathlib.Path, table: TableSchema, num_rows: int, first_row: int, keys: Any
    ) -> Iterator[str]:
        block_rows = self._manifest.block_rows
        num_blocks = -(-num_rows // block_rows)
        try:
            num_records = reader.num_records(0)
        except DatasetError as error:
            yield str(error)
            return
        if num_records != num_blocks:
            yield f"{path}: must have {num_blocks} blocks, got {num_records}"
        for block in range(min(num_blocks, num_records)):
            where = f"{path}: block {block}"
            try:
                batch = reader.read(0, block)
            except DatasetError as error:
                yield str(error)
                continue
            expected = min(block_rows, num_rows - block * block_rows)
            if batch.num_rows != expected:
                yield f"{where}: must have {counted(expected, 'row')}, got {batch.num_rows:,}"
            self._note_keys(batch, table, keys)
            yield from self._vectors(batch, table, where, first_row + block * block_rows)

    def _note_keys(self, batch: pa.RecordBatch, table: TableSchema, keys: Any) -> None:
        hashes: list[bytes] = []
        for key in batch.column(KEY).to_pylist():
            data = key.encode()
            keys.update(len(data).to_bytes(8, "little") + data)
            hashes.append(hashlib.blake2b(data, digest_size=8).digest())
        if table.name == EMBEDDINGS:
            self._key_hashes.append(np.frombuffer(b"".join(hashes), np.uint64))

    def _vectors(self, batch: pa.RecordBatch, table: TableSchema, where: str, first_row: int) -> Iterator[str]:
        names = [field.name for field in batch.schema if pa.types.is_fixed_size_list(field.type)]
        columns = {name: batch.column(name) for name in batch.schema.names}
        block = RowBlock.from_arrow(first_row, batch.num_rows, columns, {name: batch.field(name) for name in names})
        keys = batch.column(KEY)
        for name in names:
            stored = block.stored(name)
            for row in np.flatnonzero(~_are_finite(stored)):
                yield f"{where}: row '{keys[int(row)].as_py()}': {name} must be finite, got NaN or infinity"
            if stored.scales is not None:
                for row in np.flatnonzero(~_are_within(stored)):
                    yield (
                        f"{where}: row '{keys[int(row)].as_py()}': {name} must be within -{LARGEST}..{LARGEST} with a "
                        f"scale of at least {SMALLEST_SCALE:.4g}, got a row with the scale {stored.scales[row]:.4g}"
                    )
            if (table.name, name) == (EMBEDDINGS, EMBEDDING):
                for probe in self._manifest.probes:
                    if first_row <= probe.row < first_row + batch.num_rows:
                        place = probe.row - first_row
                        yield from self._probe(probe, keys[place].as_py(), stored.row_bytes(place), where)

    def _probe(self, probe: Probe, key: str, found: bytes, where: str) -> Iterator[str]:
        """Yields the faults of a probe: storing its vector must give the bytes found in its row."""
        if probe.key != key:
            yield f"{where}: row {probe.row} must have the manifest's probe key '{probe.key}', got '{key}'"
        try:
            expected = self._as_stored(probe)
        except (DatasetError, binascii.Error) as error:
            yield f"{self._directory / MANIFEST_NAME}: {error}"
            return
        if expected != found:
            yield f"{where}: row '{key}': row {probe.row} must have the manifest's probe vector, got a different one"

    def _as_stored(self, probe: Probe) -> bytes:
        if self._manifest.format_version == 1:
            return base64.b64decode(probe.vector)
        column = self._manifest.table(EMBEDDINGS).columns[1]
        assert column.vector_type is not None
        vector = decode_vector(probe, self._manifest.tower.output_width)
        return store(vector[None], column.vector_type).row_bytes(0)

    def _repeated_keys(self) -> Iterator[str]:
        if not self._key_hashes:
            return
        _, counts = np.unique(np.concatenate(self._key_hashes), return_counts=True)
        repeated = int((counts > 1).sum())
        if repeated:
            yield f"{self._directory}: keys must be unique, {repeated:,} occur more than once"


def _are_finite(stored: StoredVectors) -> np.ndarray[Any, Any]:
    """Returns bool [n]: whether all values of a row are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.isfinite(stored.to_float32()).all(axis=1))


def _are_within(stored: StoredVectors) -> np.ndarray[Any, Any]:
    """Returns bool [n]: whether a row's int8 numbers and scale are in the range that writers produce."""
    assert stored.scales is not None
    return (stored.numbers >= -LARGEST).all(axis=1) & (stored.scales >= SMALLEST_SCALE)
