import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.table.lines import MAX_ROW_BYTES, Lines
from lit_precompute.precompute.sources.table.records import DIALECTS, read_records
from tests.precompute.sources.table.test_lines import MEGABYTE, Repeated


def _records(text: str, format: str) -> list[list[str]]:
    lines = Lines(io.BytesIO(text.encode()), "t", at_start=True)
    return [fields for fields, _ in read_records(lines, DIALECTS[format])]


def _oracle(text: str, delimiter: str) -> list[list[str]] | None:
    """What Python's csv module reads, None if it refuses."""
    lines = io.StringIO(text, newline="")
    try:
        return [fields for fields in csv.reader(lines, delimiter=delimiter, strict=True) if fields]
    except csv.Error:
        return None


@settings(max_examples=400)
@given(
    text=st.lists(st.sampled_from(['"', '"', '""', "d", "d", "a", "b c", "\n", "\r\n", "ż"]), max_size=24).map("".join),
    format=st.sampled_from(["csv", "quoted-tsv", "semicolon-csv"]),
)
def test_quoting_matches_the_csv_module(text, format):
    delimiter = DIALECTS[format].delimiter
    text = text.replace("d", delimiter)
    expected = _oracle(text, delimiter)
    if expected is None:
        with pytest.raises(SourceError, match=r"t, line \d+: .*quote fields as"):
            _records(text, format)
    else:
        assert _records(text, format) == expected


def test_without_quoting_a_line_is_a_record_and_quotes_are_characters():
    assert _records('a\t"one\nb\ttwo\nc\tthree"\n', "tsv") == [["a", '"one'], ["b", "two"], ["c", 'three"']]
    assert _records('a\t"one\nb\ttwo\nc\tthree"\n', "quoted-tsv") == [["a", "one\nb\ttwo\nc\tthree"]]


def test_every_line_end_separates_records_and_is_kept_in_quotes():
    assert _records('a,b\rc,"d\re\r\nf\ng"\r\nh,i\n', "csv") == [["a", "b"], ["c", "d\re\r\nf\ng"], ["h", "i"]]
    assert _records("a\tb\rc\td\r\r\ne\tf", "tsv") == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_blank_lines_and_records_of_several_lines_are_counted():
    lines = Lines(io.BytesIO(b'\n a,b\n \r\n\t\nc,"d\n\ne"\n,\n\n'), "t", at_start=True)
    assert [number for _, number in read_records(lines, DIALECTS["csv"])] == [2, 5, 8]
    assert (lines.number, lines.num_blank, lines.num_long_rows) == (9, 4, 1)


def test_long_fields_are_read_and_the_limit_of_the_csv_module_stays():
    text = 'x, y""' * 100_000
    limit = csv.field_size_limit()
    assert _records(f'a,{"word " * 40_000}\n"{text}",b', "csv") == [
        ["a", "word " * 40_000],
        [text.replace('""', '"'), "b"],
    ]
    assert csv.field_size_limit() == limit


def test_a_quote_that_is_never_closed_is_reported_where_it_begins():
    with pytest.raises(SourceError, match=r"t, line 3: a quoted field begins here and does not end; quote fields as"):
        _records('a,b\n"c\nd","e\nf,g\n', "csv")
    stream = Repeated(b'a,"' + b"x" * 997 + b"\n")
    with pytest.raises(SourceError, match=r"t, line 1: ',' expected after '\"' in line 2; quote fields as"):
        next(read_records(Lines(stream, "t", at_start=True), DIALECTS["csv"]))
    stream = Repeated(b";a" * 500 + b"\n", start=b'a,"')
    with pytest.raises(SourceError, match=r"t, line 1: a quoted field begins here and does not end"):
        next(read_records(Lines(stream, "t", at_start=True), DIALECTS["csv"]))
    assert stream.num_read <= MAX_ROW_BYTES + 3 * MEGABYTE
