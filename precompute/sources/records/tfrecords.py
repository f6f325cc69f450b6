"""TFRecord files: slices of the records of one file.

Promises: looking skips the records' data where the file is on this machine and not compressed. Elsewhere a small
request for every record would cost more than reading them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from lit_precompute.precompute.sources.files import Opener
from lit_precompute.precompute.sources.planning import cut_slices
from lit_precompute.precompute.sources.records.files import RawRecord, content_hash, local_name
from lit_precompute.precompute.sources.records.frames import open_records, read_frames, scan_frames
from lit_precompute.precompute.sources.source import FileLook, FileSlice, ListedFile


@dataclasses.dataclass(frozen=True)
class TFRecordFiles:
    """See `RecordFiles`."""

    opener: Opener

    def look(
        self, file: ListedFile, rows_per_slice: int, *, num_records: int | None, num_first: int
    ) -> tuple[FileLook, list[RawRecord]]:
        """See `RecordFiles.look`."""
        is_one_slice = num_records is not None and num_records <= rows_per_slice
        if is_one_slice and not num_first:
            return _whole_file(file, num_records), []
        with open_records(self.opener, file.path) as (stream, is_compressed):
            frames = itertools.islice(read_frames(stream, file.path), num_first)
            first = [RawRecord(number, frame.data) for number, frame in enumerate(frames)]
            if is_one_slice or is_compressed or local_name(stream) is None:
                return _whole_file(file, 0 if num_first and not first else num_records), first
            offsets = scan_frames(stream, file.path)
        slices = [
            dataclasses.replace(part, first_row=number * rows_per_slice)
            for number, part in enumerate(cut_slices(file.path, offsets, rows_per_slice))
        ]
        content = content_hash(file, offsets.tobytes())
        look = FileLook(path=file.path, slices=tuple(slices), num_bytes=int(offsets[-1]), content=content)
        return look, first

    def read(self, part: FileSlice) -> Iterator[RawRecord]:
        """See `RecordFiles.read`."""
        with open_records(self.opener, part.path) as (stream, is_compressed):
            stop = None if is_compressed or not part.stop else part.stop
            frames = read_frames(stream, part.path, part.start, stop)
            for number, frame in enumerate(frames, part.first_row):
                yield RawRecord(number, frame.data)


def _whole_file(file: ListedFile, num_records: int | None) -> FileLook:
    part = FileSlice(path=file.path, start=0, stop=file.num_bytes or 0, num_rows=num_records)
    slices = () if num_records == 0 else (part,)
    return FileLook(path=file.path, slices=slices, num_bytes=file.num_bytes, content=content_hash(file, num_records))
