"""Damaged and hostile files: an error with their name, or failed rows; never a crash, a hang, or another error."""

import pathlib
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.columnar import parquet
from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.sources.columnar.reading import examples, found, images, look, write

_COLUMNS = {"text": ["a", "b", "c", "d"], "label": ["x", "y", "x", "y"]}


def _file(folder: pathlib.Path, **options) -> pathlib.Path:
    return write(folder / "a.parquet", {"image": images(4), **_COLUMNS}, row_group_size=2, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-10], r"a Parquet file that was cut short: copy it again; the last four bytes are"),
        (lambda data: data[:4], r"not a Parquet file: it has 4 bytes"),
        (lambda data: b"", r"not a Parquet file: it has 0 bytes"),
        (lambda data: b"<html>" * 9, r"not a Parquet file; the last four bytes are b'tml>'"),
        (lambda data: data[:-4] + b"PARE", r"an encrypted Parquet file"),
        (lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1", r"its footer claims 2,147,483,655 bytes of"),
        (lambda data: data[:-8] + b"\x10\0\0\0PAR1", r"not a readable Parquet file"),
    ],
)
def test_footers_that_cannot_be_read(tmp_path, change, message):
    path = _file(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=rf"^{path}: .*{message}"):
        look(path)


def test_a_damaged_page_fails_the_rest_of_its_row_group(tmp_path):
    path = _file(tmp_path, compression="none", use_dictionary=False, write_page_checksum=True)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"image 1", b"image X"))
    rows = [found(row) for row in examples(look(path))]
    assert [row.key for row in rows] == ["a/0", "a/1", "a/2", "a/3"]
    assert all(str(row.image).startswith(f"unreadable: {path}, row group 0: damaged (") for row in rows[:2])
    assert [(row.image, row.texts, row.label) for row in rows[2:]] == [
        (b"image 2", ("c",), "x"),
        (b"image 3", ("d",), "y"),
    ]


def test_rows_of_a_damaged_row_group_keep_the_keys_of_their_column(tmp_path):
    columns = {"image": images(4), "text": _COLUMNS["text"], "key": ["k0", "k1", "k2", "k3"]}
    path = write(tmp_path / "a.parquet", columns, compression="none", use_dictionary=False, write_page_checksum=True)
    path.write_bytes(path.read_bytes().replace(b"image 3", b"image X"))
    assert [found(row).key for row in examples(look(path))] == ["k0", "k1", "k2", "k3"]
    path.write_bytes(path.read_bytes().replace(b"k3", b"kX"))
    with pytest.raises(SourceError, match="row group 0: damaged"):
        look(path)


def test_a_small_file_that_repeats_a_large_value_is_read_in_parts(tmp_path):
    """751 bytes: 10,000 rows of one dictionary entry of 10 MB, which are 100 GB one after the other."""
    image = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array([bytes(10_000_000)]))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": image, "text": ["a"] * 10_000}), path, compression="zstd", store_schema=False)
    looked = look(path)
    assert sum(part.num_rows or 0 for part in looked.looks[0].slices) == 10_000
    rows = examples(looked)
    before = pa.total_allocated_bytes()
    assert [len(next(rows).read_image()) for _ in range(3)] == [10_000_000] * 3
    assert pa.total_allocated_bytes() - before < 300_000_000
    rows.close()


def test_a_dictionary_that_expands_to_too_much_fails_its_row_group(tmp_path, monkeypatch):
    path = _file(tmp_path, compression="none")
    monkeypatch.setattr(parquet, "_MAX_DICTIONARY_BYTES", 20)
    rows = [str(found(row).image) for row in examples(look(path))]
    assert "row group 0: the dictionary of column 'image.bytes' expands to 22 bytes, at most 20 are read" in rows[0]


@pytest.mark.parametrize("rows", [10**8, 2**62])
def test_a_footer_that_claims_too_many_rows_is_refused(tmp_path, rows):
    path = write(tmp_path / "a.parquet", {"image": images(4), **_COLUMNS})
    data = path.read_bytes()
    schema = pq.read_schema(path)
    assert pq.read_metadata(path).num_rows == 4
    count = _varint(4 << 1)
    for position in range(len(data) - 1, 0, -1):  # `num_rows` of the row group is the last field 3 of type i64
        if data[position : position + 2] == b"\x16" + count:
            break
    longer = data[: position + 1] + _varint(rows << 1) + data[position + 2 : -8]
    length = int.from_bytes(data[-8:-4], "little") + len(longer) + 8 - len(data)
    path.write_bytes(longer + length.to_bytes(4, "little") + b"PAR1")
    assert pq.read_schema(path) == schema
    with pytest.raises(SourceError, match=rf"damaged: its footer claims {rows:,} rows in"):
        look(path)


def _varint(value: int) -> bytes:
    data = b""
    while value > 127:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])


# The library aborts the process on some of these footers if it is asked for their columns.
_PROGRAM = """
import pathlib, sys
from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.sources.columnar.reading import examples, found, look

step = int(sys.argv[1])
for path in map(pathlib.Path, sys.argv[2:]):
    good = path.read_bytes()
    start = len(good) - 8 - int.from_bytes(good[-8:-4], "little") if path.suffix == ".parquet" else 0
    refused = read = 0
    for position in range(start, len(good), step):
        changed = bytearray(good)
        changed[position] ^= (1, 255, 128, 16, 2)[position % 5]
        path.write_bytes(changed)
        try:
            looked = look(path, 3)
            assert len([found(row) for row in examples(looked)]) == sum(p.num_rows for p in looked.looks[0].slices)
            read += 1
        except SourceError as error:
            assert str(path) in str(error), error
            refused += 1
    assert read and refused, (path, read, refused)
"""


@pytest.mark.parametrize("step", [53, pytest.param(1, marks=pytest.mark.slow)])
def test_no_changed_byte_ends_the_process(tmp_path, step):
    columns = {
        "image": images(8),
        "text": ["a", "b"] * 4,
        "texts": [["a"], None] * 4,
        "key": [str(n) for n in range(8)],
    }
    table = pa.table({**columns, "label": pa.array(["x", "y"] * 4).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    for name, opened, compression in (
        ("stream", pa.ipc.new_stream, None),
        ("file", pa.ipc.new_file, None),
        ("compressed", pa.ipc.new_stream, "lz4"),
    ):
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with opened(str(tmp_path / f"{name}.arrow"), table.schema, options=options) as writer:
            writer.write_table(table, 4)
    command = [sys.executable, "-c", _PROGRAM, str(step), *sorted(tmp_path.iterdir())]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
