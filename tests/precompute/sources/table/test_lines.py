import io
import itertools

import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.table.lines import MAX_ROW_BYTES, Lines

MEGABYTE = 1 << 20


class Repeated(io.RawIOBase):
    """A stream that repeats a piece without end, perhaps after a start; a read returns as many whole ones as fit."""

    def __init__(self, piece: bytes, start: bytes = b""):
        self._piece, self._start = piece, start
        self.num_read = 0

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= MEGABYTE
        self.num_read += size
        start, self._start = self._start, b""
        return start or self._piece * (size // len(self._piece))


def _lines(data: bytes) -> list[str]:
    return list(Lines(io.BytesIO(data), "t", at_start=False))


def test_line_feeds_carriage_returns_and_both_end_lines():
    assert _lines(b"a\nb\r\nc\rd\r\re\n\rf") == ["a\n", "b\r\n", "c\r", "d\r", "\r", "e\n", "\r", "f"]
    assert _lines("a\x0b\x0c\x1c\u2028\x85b\n".encode()) == ["a\x0b\x0c\x1c\u2028\x85b\n"]
    assert _lines(b"") == []


@pytest.mark.parametrize("before_end", range(5))
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_that_cross_a_chunk_are_whole(before_end, end):
    data = b"".join([b"x" * (MEGABYTE - before_end), end, b"y", end, b"z" * MEGABYTE, end, end, b"last"])
    stream = io.BytesIO(data)
    lines = Lines(stream, "t", at_start=False)
    found = list(lines)
    expected = ["x" * (MEGABYTE - before_end), "y", "z" * MEGABYTE, "", "last"]
    assert [line.rstrip("\r\n") for line in found] == expected
    assert "".join(found).encode() == data
    assert (lines.number, lines.offset) == (5, len(data))


def test_a_byte_order_mark_belongs_to_the_start_of_the_file_alone():
    data = b"\xef\xbb\xbfa\n\xef\xbb\xbfb"
    assert list(Lines(io.BytesIO(data), "t", at_start=True)) == ["a\n", "\ufeffb"]
    assert _lines(data) == ["\ufeffa\n", "\ufeffb"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_table_of_any_line_end_is_read_as_it_is_needed(end):
    stream = Repeated(b"a.png,text" + end)
    first = list(itertools.islice(Lines(stream, "t", at_start=True), 100))
    assert first == ["a.png,text" + end.decode()] * 100
    assert stream.num_read <= 2 * MEGABYTE


def test_a_file_without_line_ends_is_refused_before_it_fills_memory():
    stream = Repeated(b"\0")
    with pytest.raises(SourceError, match=r"t, line 1: longer than 67,108,864 bytes; is this a table\?"):
        next(iter(Lines(stream, "t", at_start=True)))
    assert stream.num_read <= MAX_ROW_BYTES + MEGABYTE
