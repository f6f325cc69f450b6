"""The list of a dataset's shards: columns in memory, one row a shard, of which each is a `ShardInfo` when asked for.

Promises: a list of a quarter of a million shards is read in about half a second; whatever a file holds, what is
returned obeys the rules of docs/format.md. A shard's number is its place.
"""

import collections.abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import pyarrow as pa

from lit_precompute.schemas import blocks
from lit_precompute.schemas.dataset_files import NO_FILE_SHA256, earlier_shard_file_name, shard_file_name
from lit_precompute.schemas.manifest.parts import Environment, FileInfo, Note, ShardFile, ShardInfo
from lit_precompute.schemas.manifest.shard_notes import NOTES, decode_notes, encode_notes
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import TableSchema

# Beyond these, sums and places might not fit 64 bits; no store holds a file half as large.
_MAX_ROWS, _MAX_BYTES = 1 << 40, 1 << 48
_COUNTS = ("rows_read", "num_rows", "num_failures", "environment")
NO_FILE = bytes.fromhex(NO_FILE_SHA256)

Ints = np.ndarray[Any, np.dtype[np.int64]]


class FileColumns(NamedTuple):
    """The files of one table, by shard: sizes, int64 [n] (0: the shard has none); SHA-256, uint8 [n, 32]."""

    num_bytes: Ints
    sha256: np.ndarray[Any, np.dtype[np.uint8]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ShardList(collections.abc.Sequence[ShardInfo]):
    """All shards of a dataset.

    Attributes:
      rows_read: of the source, by shard.
      num_rows: rows of every aligned table, by shard.
      num_failures: rows of `failures`, by shard.
      environment: number of the shard's environment, by shard.
      environments: the different ones.
      files: by table.
      aligned: whether a table's rows are the dataset's, by table.
      block_rows: rows of every block but a shard's last.
      notes: about rows of a shard, by shard; only of those that have any.
      has_earlier_names: whether the files are named as in format versions 1 and 2.
    """

    rows_read: Ints
    num_rows: Ints
    num_failures: Ints
    environment: Ints
    environments: Sequence[Environment]
    files: Mapping[str, FileColumns]
    aligned: Mapping[str, bool]
    block_rows: int
    notes: Mapping[int, Sequence[Note]] = dataclasses.field(default_factory=dict)
    has_earlier_names: bool = False

    def __len__(self) -> int:
        """Returns the number of shards."""
        return len(self.num_rows)

    @overload
    def __getitem__(self, index: int) -> ShardInfo: ...
    @overload
    def __getitem__(self, index: slice) -> list[ShardInfo]: ...
    def __getitem__(self, index: int | slice) -> ShardInfo | list[ShardInfo]:
        """Returns a shard, or several."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        shard = range(len(self))[index]
        files = {table: self.file(table, shard) for table in self.files}
        return ShardInfo(
            shard=shard,
            rows_read=int(self.rows_read[shard]),
            num_rows=int(self.num_rows[shard]),
            num_failures=int(self.num_failures[shard]),
            files={table: file.info for table, file in files.items() if file is not None},
            environment=self.environments[int(self.environment[shard])],
            notes=list(self.notes.get(shard, ())),
        )

    def __iter__(self) -> Iterator[ShardInfo]:
        """Yields the shards in order."""
        return (self[shard] for shard in range(len(self)))

    def file(self, table: str, shard: int) -> ShardFile | None:
        """Returns a shard's file of one table; None if it has none."""
        columns, num_rows = self.files[table], int(self.rows_of(table)[shard])
        if not columns.num_bytes[shard]:
            return None
        info = FileInfo(
            bytes=int(columns.num_bytes[shard]),
            sha256=columns.sha256[shard].tobytes().hex(),
            num_rows=num_rows,
            num_blocks=-(-num_rows // self.block_rows),
        )
        return ShardFile(self.file_name(table, shard), info)

    def file_name(self, table: str, shard: int) -> str:
        """Returns the name of a shard's file of one table within the dataset."""
        if self.has_earlier_names:
            return earlier_shard_file_name(table, shard, len(self))
        return shard_file_name(table, shard, -(-int(self.rows_of(table)[shard]) // self.block_rows))

    def rows_of(self, table: str) -> Ints:
        """Returns the rows of a table by shard, int64 [n]."""
        return self.num_rows if self.aligned[table] else self.num_failures

    def all_notes(self) -> Iterator[Note]:
        """Yields the notes of all shards, in order."""
        for shard in sorted(self.notes):
            yield from self.notes[shard]

    def table_bytes(self, table: str) -> int:
        """Returns the size of all files of a table."""
        return sum(self.files[table].num_bytes.tolist())

    def encode(self) -> bytes:
        """Returns the list as a file."""
        counts = [getattr(self, name) for name in _COUNTS]
        arrays = [pa.array(values, type=pa.int64()) for values in counts]
        for columns in self.files.values():
            hashes = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(32), len(self), [None, pa.py_buffer(np.ascontiguousarray(columns.sha256))]
            )
            arrays += [pa.array(columns.num_bytes, type=pa.int64()), hashes]
        schema = _schema(list(self.files))
        if self.notes:
            arrays.append(encode_notes(self.notes, len(self)))
            schema = schema.append(NOTES)
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return blocks.encode(batch, compress=True)

    @classmethod
    def decode(
        cls,
        data: bytes,
        *,
        tables: Sequence[TableSchema],
        environments: Sequence[Environment],
        block_rows: int,
        where: str,
    ) -> "ShardList":
        """Returns the list that a file holds.

        Raises:
          DatasetError: it is damaged, or breaks a rule; the message begins with `where`.
        """
        schema = _schema([table.name for table in tables])
        batch = blocks.decode_list(data, schema, where, last=NOTES)
        files = {
            table.name: FileColumns(_ints(batch, f"{table.name}.bytes"), _hashes(batch, f"{table.name}.sha256"))
            for table in tables
        }
        aligned = {table.name: table.aligned for table in tables}
        shards = cls(
            rows_read=_ints(batch, "rows_read"),
            num_rows=_ints(batch, "num_rows"),
            num_failures=_ints(batch, "num_failures"),
            environment=_ints(batch, "environment"),
            environments=environments,
            files=files,
            aligned=aligned,
            block_rows=block_rows,
            notes=decode_notes(batch.column(len(schema)), where) if batch.num_columns > len(schema) else {},
        )
        shards.check(where, own=[table.name for table in tables if table.reference is None])
        return shards

    def check(self, where: str, own: Sequence[str]) -> None:
        """Raises DatasetError unless the columns obey the rules; `own` are the tables whose files are here."""
        rules: list[tuple[str, Ints, int]] = [
            ("rows_read", self.rows_read, _MAX_ROWS),
            ("num_rows", self.num_rows, _MAX_ROWS),
            ("num_failures", self.num_failures, _MAX_ROWS),
            ("environment", self.environment, len(self.environments)),
        ]
        rules += [(f"{table}.bytes", columns.num_bytes, _MAX_BYTES) for table, columns in self.files.items()]
        for name, values, end in rules:
            wrong = (values < 0) | (values >= end)
            _refuse(
                wrong, where, lambda shard, at=values, of=name, to=end: f"{of} must be in [0, {to}), got {at[shard]}"
            )
        sums = self.num_rows + self.num_failures
        _refuse(
            self.rows_read != sums,
            where,
            lambda shard: f"rows_read must be num_rows + num_failures = {sums[shard]}, got {self.rows_read[shard]}",
        )
        for table in self.files:
            self._check_files(where, table, is_own=table in own)

    def _check_files(self, where: str, table: str, *, is_own: bool) -> None:
        (num_bytes, sha256), num_rows = self.files[table], self.rows_of(table)
        # Referenced files may be of versions 1 and 2, which have files without rows.
        wrong = (num_bytes == 0) != (num_rows == 0) if is_own else (num_bytes == 0) & (num_rows > 0)
        _refuse(
            wrong,
            where,
            lambda shard: (
                f"{table}.bytes must be 0 for a table without rows, and only for it; got {num_bytes[shard]} for "
                f"{num_rows[shard]} rows"
            ),
        )
        is_no_file = (sha256 == np.frombuffer(NO_FILE, np.uint8)).all(axis=1)
        _refuse(
            is_no_file != (num_bytes == 0),
            where,
            lambda shard: (
                f"{table}.sha256 must be that of no bytes where {table}.bytes is 0, and only there; "
                f"got {sha256[shard].tobytes().hex()} for {num_bytes[shard]} bytes"
            ),
        )


def _schema(tables: Sequence[str]) -> pa.Schema:
    fields = [pa.field(name, pa.int64(), nullable=False) for name in _COUNTS]
    for table in tables:
        fields.append(pa.field(f"{table}.bytes", pa.int64(), nullable=False))
        fields.append(pa.field(f"{table}.sha256", pa.binary(32), nullable=False))
    return pa.schema(fields)


def _ints(batch: pa.RecordBatch, name: str) -> Ints:
    return batch.column(name).to_numpy(zero_copy_only=True)


def _hashes(batch: pa.RecordBatch, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    column = batch.column(name)
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8, count=32 * len(column), offset=32 * column.offset)
    return data.reshape(len(column), 32)


def _refuse(wrong: np.ndarray[Any, np.dtype[np.bool_]], where: str, rule: Any) -> None:
    """Raises DatasetError for the first shard that is wrong."""
    if wrong.any():
        shard = int(np.argmax(wrong))
        raise DatasetError(f"{where}: shard {shard}: {rule(shard)}")
