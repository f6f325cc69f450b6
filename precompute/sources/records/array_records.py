"""ArrayRecord files: slices of the records of one file, whatever its group size and compression.

Promises: a file that is not on this machine is one slice; it is copied once to be read, and the copy is removed
afterwards. A look copies its ends alone, which have the number of records and the first of them, if these are small.

Not here: checksums, which the format's own reader checks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from array_record.python.array_record_module import ArrayRecordReader

from lit_precompute.precompute.sources.files import Opener, open_first
from lit_precompute.precompute.sources.records.files import RawRecord, content_hash, local_name
from lit_precompute.precompute.sources.source import FileLook, FileSlice, ListedFile, SourceError

# Records are read in order by one thread.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
# The footer is in the last block of 64 KiB, or before it if there are very many records.
_END_BYTES = 1 << 20
_COPY_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True)
class ArrayRecordFiles:
    """See `RecordFiles`."""

    opener: Opener

    def look(
        self, file: ListedFile, rows_per_slice: int, *, num_records: int | None, num_first: int
    ) -> tuple[FileLook, list[RawRecord]]:
        """See `RecordFiles.look`."""
        first: list[RawRecord] = []
        with open_first(file.path, self.opener) as stream:
            if path := local_name(stream):
                num_records, first = _counted(file.path, path, num_first)
            else:
                if num_records is None or num_first:
                    num_records, first = _counted_elsewhere(stream, file, num_first)
                rows_per_slice = max(num_records, 1)
        starts = range(0, num_records, rows_per_slice)
        stops = [min(start + rows_per_slice, num_records) for start in starts]
        slices = [
            FileSlice(path=file.path, start=start, stop=stop, num_rows=stop - start, first_row=start)
            for start, stop in zip(starts, stops, strict=True)
        ]
        content = content_hash(file, num_records)
        return FileLook(path=file.path, slices=tuple(slices), num_bytes=file.num_bytes, content=content), first

    def read(self, part: FileSlice) -> Iterator[RawRecord]:
        """See `RecordFiles.read`."""
        with (
            open_first(part.path, self.opener) as stream,
            _local_copy(stream) as path,
            _open(part.path, path) as reader,
        ):
            num_records: int = reader.num_records()
            if part.stop > num_records:
                raise SourceError(
                    f"{part.path}: had {part.stop} records or more when the job was planned and has {num_records} "
                    "now; the file changed: start again with a new output directory"
                )
            reader.seek(part.start)
            for number in range(part.start, part.stop):
                yield RawRecord(number, _read(reader, part.path, number))


def _counted(name: str, path: str, num_first: int) -> tuple[int, list[RawRecord]]:
    """Returns the number of records in a local file, which messages call `name`, and the first of them."""
    with _open(name, path) as reader:
        num_records: int = reader.num_records()
        numbers = range(min(num_first, num_records))
        return num_records, [RawRecord(number, _read(reader, name, number)) for number in numbers]


def _counted_elsewhere(stream: BinaryIO, file: ListedFile, num_first: int) -> tuple[int, list[RawRecord]]:
    """Returns what `_counted` does of a file that is not on this machine."""
    with _scratch_file() as path:
        num_bytes = stream.seek(0, os.SEEK_END) if file.num_bytes is None else file.num_bytes
        with pathlib.Path(path).open("wb") as ends:
            ends.truncate(num_bytes)  # zeros between the ends take no room
            for start in (0, max(num_bytes - _END_BYTES, 0)):
                stream.seek(start)
                ends.seek(start)
                ends.write(stream.read(min(_END_BYTES, num_bytes)))
        with contextlib.suppress(SourceError):  # what is needed may be between the ends
            return _counted(file.path, path, num_first)
    with _local_copy(stream) as path:
        return _counted(file.path, path, num_first)


@contextlib.contextmanager
def _local_copy(stream: BinaryIO) -> Iterator[str]:
    """Yields the path of an open file if it is on this machine, else that of a copy, which is removed afterwards."""
    if path := local_name(stream):
        yield path
        return
    with _scratch_file() as path:
        stream.seek(0)
        with pathlib.Path(path).open("wb") as copy:
            shutil.copyfileobj(stream, copy, _COPY_BYTES)
        yield path


@contextlib.contextmanager
def _scratch_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="lit-precompute-") as folder:
        yield str(pathlib.Path(folder, "records"))


@contextlib.contextmanager
def _open(name: str, path: str) -> Iterator[Any]:
    reader = ArrayRecordReader(path, _READER_OPTIONS)
    try:
        if not reader.ok():
            raise SourceError(
                f"{name}: no complete ArrayRecord file: it is cut off, damaged or of another format; copy it again"
            )
        yield reader
    finally:
        if reader.ok():  # closing raises again what reading raised
            reader.close()


def _read(reader: Any, name: str, number: int) -> bytes:
    try:
        return reader.read()
    except RuntimeError as error:
        raise SourceError(f"{name}, record {number}: damaged ({str(error)[:200]}); copy the file again") from error
