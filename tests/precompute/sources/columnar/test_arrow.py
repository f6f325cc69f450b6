import pathlib
import struct

import pyarrow as pa
import pytest
from pyarrow import feather

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.columnar.reading import IMAGE, Found, examples, images, look, read

_OPEN = {"stream": pa.ipc.new_stream, "file": pa.ipc.new_file}


def _write(path: pathlib.Path, columns: dict, kind: str = "stream", rows: int = 2, **options) -> pathlib.Path:
    table = pa.table(columns)
    with _OPEN[kind](str(path), table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows)
    return path


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_files_and_streams_give_the_same_rows(tmp_path, kind, compression):
    columns = {
        "image": images(5),
        "mask": [b"m" * 99] * 5,
        "text": ["a", None, "c", "d", "e"],
        "label": [1, 2, 3, 4, 5],
    }
    path = _write(tmp_path / "a.arrow", columns, kind, compression=compression)
    expected = [
        Found(f"a/{number}", b"image %d" % number, (text,) if text else (), str(number + 1))
        for number, text in enumerate(columns["text"])
    ]
    named = SourceColumns(image="image")
    assert all(read(path, rows=rows, columns=named) == expected for rows in (1, 2, 3, 9))
    assert read(path, columns=named, format="arrow") == read(tmp_path, columns=named) == expected


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_dictionaries_that_change_between_batches(tmp_path, kind):
    """The Arrow format lets a stream replace a dictionary, and a file extend it."""
    batches = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b", "c"]).dictionary_encode()[1:]]
    schema = pa.schema([("image", IMAGE), ("text", batches[0].type)])
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with _OPEN[kind](str(tmp_path / "a.arrow"), schema, options=options) as writer:
        for texts in batches:
            writer.write_batch(pa.record_batch([images(2), texts], schema=schema))
    rows = read(tmp_path / "a.arrow", rows=2)
    assert [row.texts for row in rows] == [("a",), ("b",), ("b",), ("c",)]


def test_only_the_needed_columns_of_every_layout_are_read(tmp_path):
    """The columns before the image have every layout of buffers; pyarrow's own writer is the oracle."""
    before = {
        "null": pa.nulls(3),
        "flag": pa.array([True, None, False]),
        "number": pa.array([1, None, 3], pa.int16()),
        "money": pa.array([1, None, 3]).cast(pa.decimal128(30, 2)),
        "large": pa.array(["x", None, "y" * 50], pa.large_string()),
        "view": pa.array(["x" * 40, None, "y" * 50], pa.string_view()),
        "fixed": pa.array([b"12", None, b"34"], pa.binary(2)),
        "list": pa.array([[1, 2], None, []]),
        "lists": pa.array([[[b"a"]], None, [[], None]], pa.large_list(pa.list_(pa.binary()))),
        "list_view": pa.array([[1, 2], None, []], pa.list_view(pa.int8())),
        "pair": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8())),
        "time": pa.array([1, None, 3], pa.timestamp("s")),
    }
    columns = SourceColumns(image="image", text="caption")
    for extra in ({}, {"dictionary": pa.array(["p", None, "q"]).dictionary_encode()}):
        path = _write(tmp_path / "a.arrow", {**before, **extra, "image": images(3), "caption": ["a", "b", "c"]}, rows=3)
        assert [(row.image, row.texts) for row in read(path, columns=columns)] == [
            (b"image 0", ("a",)),
            (b"image 1", ("b",)),
            (b"image 2", ("c",)),
        ]


def test_unions_and_run_ends_beside_the_needed_columns(tmp_path):
    union = pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])])
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", "b"]))
    path = _write(
        tmp_path / "a.arrow", {"union": union, "runs": runs, "image": images(3), "text": ["a", "b", "c"]}, rows=3
    )
    assert [row.texts for row in read(path)] == [("a",), ("b",), ("c",)]
    with pytest.raises(SourceError, match=r"column 'runs' is run_end_encoded<.*>; it must be a string"):
        look(path, columns=SourceColumns(text="runs"))


def test_texts_that_are_not_utf8_lose_only_themselves(tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"fine"]).buffers())
    path = _write(tmp_path / "a.arrow", {"image": images(2), "text": broken})
    first, second = examples(look(path))
    assert (first.texts, first.notes, second.texts) == ((), ("'text' is not UTF-8, left out",), ("fine",))
    assert [first.read_image(), second.read_image()] == [b"image 0", b"image 1"]


def test_offsets_outside_a_batch_fail_its_rows_alone(tmp_path):
    path = _write(tmp_path / "a.arrow", {"image": pa.array([b"first", b"second"] * 2), "text": ["a"] * 4})
    data = bytearray(path.read_bytes())
    offsets = data.index(struct.pack("<3i", 0, 5, 11))
    data[offsets + 4 : offsets + 8] = struct.pack("<i", 1 << 30)
    path.write_bytes(data)
    rows = read(path)
    assert [row.key for row in rows] == ["a/0", "a/1", "a/2", "a/3"]
    assert all(str(row.image).startswith(f"unreadable: {path}, record batch at byte") for row in rows[:2])
    assert [(row.image, row.texts) for row in rows[2:]] == [(b"first", ("a",)), (b"second", ("a",))]


def test_a_stream_that_is_cut_short_is_an_error_with_its_place(tmp_path):
    path = _write(tmp_path / "a.arrow", {"image": images(4), "text": ["a"] * 4})
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(
        SourceError, match=r"a\.arrow, byte [\d,]+: damaged: a message that ends \d+ bytes after the file"
    ):
        look(path)
    path.write_bytes(whole[:-8])  # without the mark at the end, which streams may lack
    assert len(read(path)) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"FEA1" + bytes(20), "a Feather file of version 1; write it again with version 2"),
        (b"PAR1" + bytes(20), r"not an Arrow file or stream; the first eight bytes are b'PAR1"),
        (b"abc", "a message that ends after the file"),
        (b"\xff\xff\xff\xff\x08\0\0\0" + b"\xff" * 8, "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path, data, message):
    (tmp_path / "a.arrow").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        look(tmp_path / "a.arrow")


def test_feather_is_read(tmp_path):

    feather.write_feather(pa.table({"image": images(2), "text": ["a", "b"]}), str(tmp_path / "a.feather"))
    assert [row.texts for row in read(tmp_path / "a.feather")] == [("a",), ("b",)]
