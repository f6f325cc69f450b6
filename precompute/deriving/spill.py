"""Rows on disk, in numbered parts: more rows than fit in memory are scattered, and come back part by part.

Promises: the rows of a part come back in the order in which they were added. Memory holds about `buffer_bytes` of rows
while they are added, and one part while it is read. No file stays open.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from jaxtyping import Integer

_BUFFER_BYTES = 128 << 20
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """Rows of one schema, by the number of their part."""

    def __init__(self, folder: pathlib.Path, schema: pa.Schema, num_parts: int, buffer_bytes: int = _BUFFER_BYTES):
        """Takes a folder of its own, which is created."""
        self.num_parts = num_parts
        self._folder, self._schema, self._buffer_bytes = folder, schema, buffer_bytes
        self._held: list[tuple[pa.RecordBatch, Integer[np.ndarray, " n"]]] = []
        self._held_bytes = 0
        folder.mkdir(parents=True)

    def add(self, rows: pa.RecordBatch, parts: Integer[np.ndarray, " n"]) -> None:
        """Adds rows, and the number of the part that each belongs to."""
        self._held.append((rows, parts))
        self._held_bytes += rows.nbytes
        if self._held_bytes >= self._buffer_bytes:
            self._write()

    def read(self, part: int) -> pa.Table:
        """Returns the rows of a part."""
        self._write()
        path = self._path(part)
        batches = list(_batches(path)) if path.exists() else []
        return pa.Table.from_batches(batches, schema=self._schema)

    def remove(self, part: int) -> None:
        """Removes the rows of a part."""
        self._path(part).unlink(missing_ok=True)

    def _write(self) -> None:
        """Appends what is held to the files of its parts."""
        if not self._held:
            return
        rows = pa.Table.from_batches([batch for batch, _ in self._held], schema=self._schema)
        parts = np.concatenate([each for _, each in self._held])
        self._held, self._held_bytes = [], 0
        if self.num_parts > 1:
            order = np.argsort(parts, kind="stable")
            rows, parts = rows.take(pa.array(order)), parts[order]
        present, firsts = np.unique(parts, return_index=True)
        for part, first, end in zip(present.tolist(), firsts.tolist(), [*firsts[1:].tolist(), len(parts)], strict=True):
            with self._path(part).open("ab") as file, pa.ipc.new_stream(file, self._schema, options=_OPTIONS) as stream:
                stream.write_table(rows.slice(first, end - first))

    def _path(self, part: int) -> pathlib.Path:
        return self._folder / f"{part}.arrows"


def _batches(path: pathlib.Path) -> Iterator[pa.RecordBatch]:
    """Yields the batches of a file of several streams, one behind the other."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size:
            with pa.ipc.open_stream(file) as stream:
                yield from stream
