"""The source as the manifest has it: its files are a list beside the manifest, read when they are asked for."""

import collections.abc
from collections.abc import Sequence
from typing import overload

import pyarrow as pa

from lit_precompute.schemas import blocks
from lit_precompute.schemas.manifest.parts import SourceFile
from lit_precompute.schemas.storage import DatasetError

_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.binary(32)),
    ]
)


class SourceFileList(collections.abc.Sequence[SourceFile]):
    """The files of a source, each a `SourceFile` when asked for."""

    def __init__(self, batch: pa.RecordBatch):
        """Takes the columns."""
        self._batch = batch

    def __len__(self) -> int:
        """Returns the number of files."""
        return self._batch.num_rows

    @overload
    def __getitem__(self, index: int) -> SourceFile: ...
    @overload
    def __getitem__(self, index: slice) -> list[SourceFile]: ...
    def __getitem__(self, index: int | slice) -> SourceFile | list[SourceFile]:
        """Returns a file, or several."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        path, num_bytes, sha256 = (column[place].as_py() for column in self._batch.columns)
        return SourceFile(path=path, bytes=num_bytes, sha256=None if sha256 is None else sha256.hex())

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(self._batch.column("bytes").to_numpy().tolist())

    def encode(self) -> bytes:
        """Returns the list as a file."""
        return blocks.encode(self._batch, compress=True)

    @classmethod
    def collect(cls, files: Sequence[SourceFile]) -> "SourceFileList":
        """Returns the list of these files."""
        hashes = (None if file.sha256 is None else bytes.fromhex(file.sha256) for file in files)
        columns = [[file.path for file in files], [file.bytes for file in files], list(hashes)]
        arrays = [pa.array(values, type=field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
        return cls(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))

    @classmethod
    def decode(cls, data: bytes, *, num_files: int, num_bytes: int, where: str) -> "SourceFileList":
        """Returns the list that a file holds.

        Raises:
          DatasetError: it is damaged, or has other files than the manifest counts; the message begins with `where`.
        """
        batch = blocks.decode_list(data, _SCHEMA, where)
        sizes = batch.column("bytes").to_numpy().tolist()
        if negative := [place for place, size in enumerate(sizes) if size < 0]:
            raise DatasetError(f"{where}: file {negative[0]}: bytes must be >= 0, got {sizes[negative[0]]}")
        if (len(sizes), sum(sizes)) != (num_files, num_bytes):
            raise DatasetError(
                f"{where}: must have {num_files} files of {num_bytes} bytes, got {len(sizes)} of {sum(sizes)}"
            )
        return cls(batch)
