"""The messages of an Arrow file or stream: found by their headers alone, without the data that follows each.

Promises: a message is where it says and within the file, or a `DamageError`.

Source: the Arrow format's "IPC Streaming Format" (Message.fbs, Schema.fbs); a file is "ARROW1", two zeros, a stream,
and a footer that repeats where its messages are.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import BinaryIO, Literal

from lit_precompute.precompute.sources.columnar.file import DamageError
from lit_precompute.precompute.sources.columnar.flatbuffer import Table

_FILE_MAGIC = b"ARROW1\0\0"
_CONTINUES = b"\xff\xff\xff\xff"
_KINDS: dict[int, Literal["schema", "dictionary", "batch"]] = {1: "schema", 2: "dictionary", 3: "batch"}
_MAX_HEADER_BYTES = 1 << 28


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """A message; positions are those in the file.

    Attributes:
      kind: what it is.
      start: where it begins.
      header: its bytes up to the data, including the two words before.
      stop: where its data end.
      num_rows: of a batch.
      buffers: (offset, length) of each buffer in a batch's data.
      num_variadic: of each column of views, how many buffers more it has.
      is_compressed: whether the buffers are.
      is_big_endian: of a schema alone.
    """

    kind: Literal["schema", "dictionary", "batch"]
    start: int
    header: bytes = dataclasses.field(repr=False)
    stop: int
    num_rows: int = 0
    buffers: tuple[tuple[int, int], ...] = ()
    num_variadic: tuple[int, ...] = ()
    is_compressed: bool = False
    is_big_endian: bool = False

    @property
    def data_start(self) -> int:
        """Where its data begin."""
        return self.start + len(self.header)


class Messages:
    """The messages of one file, in order."""

    def __init__(self, stream: BinaryIO, path: str):
        """Reads the first bytes.

        Raises:
          DamageError: it is no such file.
        """
        self.num_bytes = stream.seek(0, os.SEEK_END)
        self._stream, self._path = stream, path
        first = self._read(0, 8)
        if first.startswith(b"FEA1"):
            raise DamageError(f"{path}: a Feather file of version 1; write it again with version 2")
        self.start = 8 if first == _FILE_MAGIC else 0
        if not self.start and not first.startswith(_CONTINUES):
            raise DamageError(f"{path}: not an Arrow file or stream; the first eight bytes are {first!r}")

    def read(self, start: int, stop: int | None = None) -> Iterator[Message]:
        """Yields the messages that begin in [start, stop); to the end of the stream, if that is None.

        Raises:
          DamageError: a message is damaged or cut short.
        """
        while start < (self.num_bytes if stop is None else stop):
            message = self._message(start)
            if message is None:
                return
            yield message
            start = message.stop

    def _message(self, start: int) -> Message | None:
        """Returns the message at a position; None at the end of the stream."""
        prefix = self._read(start, 8)
        length = int.from_bytes(prefix[4:], "little")
        if prefix[:4] != _CONTINUES or length > _MAX_HEADER_BYTES:
            raise self._fault(start, f"no message begins with {prefix!r}")
        if not length:
            return None
        header = self._read(start, 8 + length)
        try:
            message = _parse(start, header)
        except ValueError as error:
            raise self._fault(start, f"a damaged message: {error}") from error
        if message.stop > self.num_bytes:
            missing = message.stop - self.num_bytes
            raise self._fault(start, f"a message that ends {missing:,} bytes after the file: copy the file again")
        return message

    def _read(self, start: int, length: int) -> bytes:
        self._stream.seek(start)
        data = self._stream.read(length)
        if len(data) < length:
            raise self._fault(start, f"a message that ends after the file, which has {self.num_bytes:,} bytes")
        return data

    def _fault(self, start: int, message: str) -> DamageError:
        return DamageError(f"{self._path}, byte {start:,}: damaged: {message}")


def _parse(start: int, header: bytes) -> Message:
    """Returns what a header says.

    Raises:
      ValueError: it is damaged.
    """
    root = Table.root(header[8:])
    kind, about, length = _KINDS.get(root.number(1, "<B")), root.table(2), root.number(3, "<q")
    if kind is None or about is None or length < 0:
        raise ValueError("it has no schema, dictionary or batch")
    stop = start + len(header) + length
    if kind == "schema":
        return Message(kind=kind, start=start, header=header, stop=stop, is_big_endian=about.number(0, "<h") == 1)
    if kind == "dictionary":
        return Message(kind=kind, start=start, header=header, stop=stop)
    num_rows, buffers = about.number(0, "<q"), about.structs(2, "<qq")
    if num_rows < 0:
        raise ValueError(f"a batch of {num_rows} rows")
    if any(offset < 0 or size < 0 or offset + size > length for offset, size in buffers):
        raise ValueError("a buffer outside its batch")
    return Message(
        kind=kind,
        start=start,
        header=header,
        stop=stop,
        num_rows=num_rows,
        buffers=tuple((offset, size) for offset, size in buffers),
        num_variadic=tuple(count for (count,) in about.structs(4, "<q")),
        is_compressed=about.table(3) is not None,
    )
