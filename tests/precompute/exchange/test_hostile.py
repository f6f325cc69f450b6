"""Damaged and hostile files of each kind: refused by a message that names the file, with no traceback or huge read."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.exchange.files.tf_example import serialize
from lit_precompute.precompute.sources.records.frames import framed
from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.exchange.making import imported, keys, source_of, vectors, write_clip_retrieval, write_datacomp


class Trap:
    """Unpickling it fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def saved(array):
    """Returns the bytes of NumPy's file of an array."""
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue()


def npy(header, data=b"", version=1):
    """Returns a NumPy file of a header as it is given."""
    text = header.encode().ljust(117) + b"\n"
    length = struct.pack("<H", len(text)) if version == 1 else struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def shaped(shape, kind="<f4", order=False):
    """Returns the header of an array."""
    return f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}"


ARRAYS = {
    "pickle": (saved(np.array([Trap(), 1], object)), "Python objects, that is a pickle"),
    "bare pickle": (pickle.dumps([1, 2]), "not a NumPy file"),
    "structured": (saved(np.zeros(3, [("a", "<f4"), ("b", "<f4")])), "this is structured records"),
    "whole numbers": (saved(np.zeros((3, 6), np.int64)), "this is <i8"),
    "big endian": (saved(np.zeros((3, 6), ">f4")), "this is >f4"),
    "complex": (saved(np.zeros((3, 6), np.complex64)), "this is <c8"),
    "one dimension": (saved(np.zeros(18, np.float32)), r"must have the shape \(rows, width\), got \(18,\)"),
    "three dimensions": (saved(np.zeros((3, 3, 2), np.float32)), r"got \(3, 3, 2\)"),
    "no width": (saved(np.zeros((3, 0), np.float32)), "from 1 to 1,048,576 numbers, got 0"),
    "fortran order": (saved(np.asfortranarray(vectors(3))), "Fortran's order"),
    "claims more rows": (npy(shaped("(1000000000000, 6)"), bytes(72)), "cut off: its header says 1,000,000,000,000"),
    "claims fewer rows": (npy(shaped("(2, 6)"), bytes(72)), "followed by something else"),
    "overflowing shape": (npy(shaped(f"({10**30}, {10**30})"), bytes(72)), "numbers, got 1,000,000"),
    "negative shape": (npy(shaped("(-1, 6)"), bytes(72)), "header cannot be read"),
    "code in the header": (npy("{'descr': __import__('os').abort(), 'shape': (1, 6)}"), "header cannot be read"),
    "deep nesting": (npy("{'descr': " + "(" * 60_000, version=2), "header cannot be read"),
    "no header": (b"\x93NUMPY", "header cannot be read"),
    "header cut off": (npy(shaped("(3, 6)"))[:40], "header cannot be read"),
    "unknown version": (b"\x93NUMPY\x09\x00\x10\x00", "header cannot be read"),
    "cut off": (saved(vectors(3))[:-1], "cut off"),
    "empty": (b"", "not a NumPy file"),
    "a zip": (b"PK\x03\x04" + bytes(100), "not a NumPy file"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_that_is_no_array_of_vectors_is_refused(tmp_path, case):
    data, message = ARRAYS[case]
    write_clip_retrieval(tmp_path, (3,))
    (tmp_path / "img_emb/img_emb_0.npy").write_bytes(data)
    with pytest.raises(SourceError, match=rf"img_emb_0\.npy.*{message}"):
        source_of("clip-retrieval", tmp_path).plan()


@pytest.mark.parametrize("case", ARRAYS)
def test_the_same_as_a_member_of_an_archive_is_refused_by_its_name(tmp_path, case):
    data, message = ARRAYS[case]
    write_datacomp(tmp_path, (3,))
    (path,) = tmp_path.glob("*.npz")
    arrays = {name: saved(array) for name, array in np.load(path).items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, own in arrays.items():
            archive.writestr(f"{name}.npy", data if name == "b32_img" else own)
    with pytest.raises(SourceError, match=rf"\.npz, array 'b32_img'.*{message}"):
        source_of("datacomp", tmp_path).plan()


def _archive(tmp_path, change):
    write_datacomp(tmp_path, (3,))
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[: len(data) // 2], "damaged archive"),
        (lambda data: b"", "damaged archive"),
        (lambda data: data[:-6] + struct.pack("<I", struct.unpack("<I", data[-6:-2])[0] + 1) + data[-2:], "damaged"),
        (lambda data: data.replace(b"l14_img.npy", b"../../a.npy"), "no array 'l14_img'"),
        (lambda data: data.replace(b"l14_txt.npy", b"l14_img.npy"), "has 2 arrays 'l14_img'"),
    ],
    ids=["cut off", "empty", "places before the beginning", "leaves its folder", "twice"],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_damaged_archive_is_refused(tmp_path, change, message):
    path = _archive(tmp_path, change)
    with pytest.raises(SourceError, match=message) as error:
        imported("datacomp", tmp_path, tmp_path / "out")
    assert str(path) in str(error.value)


def test_a_member_with_a_wrong_checksum_or_that_is_encrypted_is_refused(tmp_path):
    _archive(tmp_path, lambda data: data)
    (path,) = tmp_path.glob("*.npz")
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("b32_img.npy").header_offset
    data = bytearray(path.read_bytes())
    whole = bytes(data)
    data[place + 30 + len("b32_img.npy") + 20 + 130] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"array 'b32_img': damaged archive \(Bad CRC-32"):
        imported("datacomp", tmp_path, tmp_path / "out")
    start, _, directory = whole.partition(b"PK\x01\x02")
    entries = [b"PK\x01\x02" + entry[:4] + b"\x01" + entry[5:] for entry in directory.split(b"PK\x01\x02")]
    path.write_bytes(start + b"".join(entries))
    with pytest.raises(SourceError, match=r"array 'l14_img': is encrypted"):
        imported("datacomp", tmp_path, tmp_path / "out2")


def test_an_archive_that_expands_without_end_costs_no_memory(tmp_path):
    """A quarter of a GiB of zeros in 1 MB, where a table of 3 rows says what is meant."""
    write_datacomp(tmp_path, (3,))
    (path,) = tmp_path.glob("*.npz")
    arrays = {name: saved(array) for name, array in np.load(path).items()}
    rows = (1 << 28) // 12
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if name == "b32_img":
                    member.write(npy(shaped(f"({rows}, 6)", "<f2")))
                    for _ in range(64):
                        member.write(bytes(12 * (rows // 64)))
                    member.write(bytes(12 * (rows % 64)))
                else:
                    member.write(data)
    assert path.stat().st_size < 10_000_000
    with pytest.raises(SourceError, match=rf"array 'b32_img' has {rows:,} rows"):
        source_of("datacomp", tmp_path).plan()


def _parquet(tmp_path, table):
    pq.write_table(table, tmp_path / "a.parquet")


TABLES = {
    "no vectors": (pa.table({"key": ["a"]}), r"no column 'embedding' or 'emb'.*--vector-column"),
    "strings": (pa.table({"key": ["a"], "embedding": ["0.1"]}), "must have a list of floats"),
    "whole numbers": (pa.table({"key": ["a"], "embedding": [[1, 2]]}), "must have a list of floats"),
    "lists of lists": (pa.table({"key": ["a"], "embedding": [[[1.0], [2.0]]]}), "must have a list of floats"),
    "no rows with vectors": (pa.table({"key": ["a"], "embedding": pa.array([None], pa.list_(pa.float32()))}), "no row"),
    "no key": (pa.table({"key": ["a", None], "embedding": [[1.0], [2.0]]}), "row 1: key 'key' is empty"),
    "key that is no text": (
        pa.table({"key": pa.array([b"a", b"\xff"]).view(pa.string()), "embedding": [[1.0], [2.0]]}),
        "row 1: 'key' must be a string or a whole number",
    ),
    "key of another type": (pa.table({"key": [1.5], "embedding": [[1.0]]}), "must be a string or a whole number"),
    "twice the same name": (pa.table([["a"], ["b"], [[1.0]]], names=["key", "key", "embedding"]), "occurs 2 times"),
}


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("layout", ["parquet", "huggingface"])
def test_a_table_that_holds_no_vectors_is_refused(tmp_path, case, layout):
    table, message = TABLES[case]
    if layout == "parquet":
        _parquet(tmp_path, table)
    else:
        (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "a.arrow"}], "_split": null}')
        with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as stream:
            stream.write_table(table)
    with pytest.raises(SourceError, match=message):
        imported(layout, tmp_path, tmp_path / "out")


def test_vectors_of_odd_lengths_become_failures(tmp_path):
    table = {"id": [1, 2, 3, 4, 5], "emb": [[1.0, 2.0], [1.0], None, [], [3.0, None]]}
    _parquet(tmp_path, pa.table(table))
    result = imported("parquet", tmp_path / "a.parquet", tmp_path / "out")
    assert dict(result.reasons) == {"wrong-width": 1, "missing": 2, "not-finite": 1}
    assert result.manifest.num_rows == 1


def test_names_in_a_dataset_on_disk_cannot_leave_its_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}], "_split": null}')
    with pytest.raises(SourceError, match="must list files by their names"):
        imported("huggingface", tmp_path / "in", tmp_path / "out")


RECORDS = {
    "cut off": (framed(b"abc")[:-2], "cut off"),
    "no tf.Example": (framed(b"\xff\xff\xff"), "not a tf.Example"),
    "wrong checksum": (framed(b"abc")[:-4] + bytes(4), "checksum"),
    "absurd length": (framed(b"abc")[:0] + struct.pack("<Q", 1 << 60) + bytes(8), "not a TFRecord file"),
    "no vectors": (framed(serialize({"key": ["a"]})), "no feature image_embedding or embedding"),
    "vector of texts": (framed(serialize({"key": ["a"], "embedding": ["a"]})), "'embedding' has no floats"),
    "two keys": (
        framed(serialize({"key": ["a", "b"], "embedding": np.ones(2, np.float32)})),
        r"row 0: feature 'key' must be one key",
    ),
    "empty": (b"", "no records"),
    "gzip of nothing": (b"\x1f\x8b\x08\x00", "damaged gzip"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_file_that_holds_no_vectors_is_refused(tmp_path, case):
    data, message = RECORDS[case]
    (tmp_path / "a.tfrecord").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        imported("tfrecord", tmp_path / "a.tfrecord", tmp_path / "out")


KEYS = {
    "pickle": (saved(np.array(keys(0, 3), object)), "that is a pickle"),
    "numbers": (saved(np.arange(3)), "keys must be an array of strings"),
    "two dimensions": (saved(np.array([["a", "b", "c"]])), "keys must be an array of strings"),
    "cut off": (saved(np.array(keys(0, 3)))[:-1], "its header says"),
    "no characters": (saved(np.array(["a", "b", "c"]))[:-4] + b"\xff\xff\xff\x7f", "no text that can be read"),
    "not UTF-8": (b"a\nb\xff\nc\n", "not UTF-8"),
    "empty line": (b"a\n\nc\n", "key 'key' is empty"),
    "no lines": (b"a" * 100_000, "no file of keys"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_file_of_keys_that_is_none_is_refused(tmp_path, case):
    data, message = KEYS[case]
    np.save(tmp_path / "embeddings.npy", vectors(3))
    (tmp_path / ("keys.npy" if data.startswith(b"\x93") else "keys.txt")).write_bytes(data)
    with pytest.raises(SourceError, match=message):
        imported("npy", tmp_path, tmp_path / "out")
