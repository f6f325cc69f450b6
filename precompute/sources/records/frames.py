"""The frames of TFRecord files: a length, its checksum, the data, their checksum; also compressed by gzip.

Promises: every length and checksum that is read is checked; a record that is damaged, cut off or absurdly long is an
error that names its byte, and takes no more memory than the file has bytes, or `MAX_RECORD_BYTES`.

Not here: what a record holds. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import array
import contextlib
import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

import google_crc32c
import numpy as np

from lit_precompute.precompute.sources.files import Opener, compression_of, open_first
from lit_precompute.precompute.sources.source import SourceError

MAX_RECORD_BYTES = 1 << 30
_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CRC.size
FRAME_BYTES = _HEADER_BYTES + _CRC.size
"""Bytes of a record beside its data."""
_PIECE_BYTES = 4 << 20
_COPY_AGAIN = "the file is damaged: copy it again"


class Frame(NamedTuple):
    """A record, and the byte where its frame begins (in a compressed file, of the contents)."""

    start: int
    data: bytes


class OpenedRecords(NamedTuple):
    """A TFRecord file; `stream` gives its contents, `is_compressed` says that these are not the file's bytes."""

    stream: BinaryIO
    is_compressed: bool


@contextlib.contextmanager
def open_records(opener: Opener, path: str) -> Iterator[OpenedRecords]:
    """Opens a TFRecord file, and unpacks it if it is compressed.

    Raises:
      SourceError: it cannot be opened, or is no TFRecord file.
    """
    try:
        with open_first(path, opener) as stream:
            head = stream.read(_HEADER_BYTES)
            stream.seek(0)
            # The length of a record may look like the mark of a gzip file, but then its checksum is right.
            if not head or _has_right_length(head):
                yield OpenedRecords(stream, False)
            elif compression_of(head) == "gzip":
                with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
                    yield OpenedRecords(cast(BinaryIO, io.BufferedReader(unpacked)), True)
            else:
                packed = f"a {name} file, not " if (name := compression_of(head)) else "not "
                raise SourceError(f"{path}: {packed}a TFRecord file: its first length has no right checksum")
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{path}: damaged gzip ({error}); copy it again") from error


def read_frames(stream: BinaryIO, path: str, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Yields the records from the byte `start`, where one begins, to `stop`, where one ends, or to the end.

    Raises:
      SourceError: a record is damaged or cut off.
    """
    if start:
        stream.seek(start)
    while stop is None or start < stop:
        header = stream.read(_HEADER_BYTES)
        if not header and stop is None:
            return
        length = _checked_length(header, path, start)
        data = _read_exactly(stream, length)
        crc = stream.read(_CRC.size)
        if len(data) < length or len(crc) < _CRC.size:
            raise _cut_off(path, start, f"{length:,} bytes, and {len(data):,} are there")
        if _CRC.unpack(crc)[0] != _masked_crc(data):
            end = start + _HEADER_BYTES + length
            raise SourceError(
                f"{path}, byte {start}: the checksum of a record's data, bytes {start + _HEADER_BYTES} to {end}, must "
                f"be {_masked_crc(data):08x}, got {_CRC.unpack(crc)[0]:08x}; {_COPY_AGAIN}"
            )
        yield Frame(start, data)
        start += length + FRAME_BYTES


def framed(data: bytes) -> bytes:
    """Returns a record's frame, as a TFRecord file has it."""
    length = _LENGTH.pack(len(data))
    return b"".join([length, _CRC.pack(_masked_crc(length)), data, _CRC.pack(_masked_crc(data))])


def scan_frames(stream: BinaryIO, path: str) -> np.ndarray:
    """Returns where the records of an uncompressed file begin, and where the last ends, int64; skips their data.

    Raises:
      SourceError: a length is damaged, or the last record cut off.
    """
    num_bytes = stream.seek(0, os.SEEK_END)
    offsets, start = array.array("q", [0]), 0
    while start < num_bytes:
        stream.seek(start)
        length = _checked_length(stream.read(_HEADER_BYTES), path, start)
        if start + length + FRAME_BYTES > num_bytes:
            raise _cut_off(path, start, f"{length:,} bytes, and the file ends at byte {num_bytes}")
        start += length + FRAME_BYTES
        offsets.append(start)
    return np.frombuffer(offsets, np.int64)


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _has_right_length(header: bytes) -> bool:
    return len(header) == _HEADER_BYTES and _CRC.unpack(header[8:])[0] == _masked_crc(header[:8])


def _checked_length(header: bytes, path: str, start: int) -> int:
    if len(header) < _HEADER_BYTES:
        raise _cut_off(path, start, "a length, and the file ends within it")
    if not _has_right_length(header):
        raise SourceError(f"{path}, byte {start}: the length of a record has a wrong checksum; {_COPY_AGAIN}")
    (length,) = _LENGTH.unpack(header[:8])
    if length > MAX_RECORD_BYTES:
        raise SourceError(
            f"{path}, byte {start}: a record of {length:,} bytes; at most {MAX_RECORD_BYTES:,} are read, the length "
            "must be wrong"
        )
    return length


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    """Returns as many bytes; fewer at the end of the file. What is not there takes no memory."""
    if length <= _PIECE_BYTES:
        return stream.read(length)
    pieces: list[bytes] = []
    while length > 0 and (piece := stream.read(min(length, _PIECE_BYTES))):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _cut_off(path: str, start: int, what: str) -> SourceError:
    return SourceError(f"{path}, byte {start}: the file is cut off: a record should have {what}; copy it again")
