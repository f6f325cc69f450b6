"""Weights files of ill will: refused by name, and before memory is taken."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.weights import pickle_machine
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.reading import read_weights
from tests.towers.weights.weights_files import parse_weights


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _zip(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def _npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


# Zip files


def test_objects_in_npz_are_refused():
    with pytest.raises(WeightsError, match="pickled objects, which are never loaded"):
        parse_weights(_npz(bad=np.asarray([{}], object)))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1 << 20, 1 << 20), f"needs {1 << 42} bytes, the member holds 0"),
        ((-1, 3), "whole numbers >= 0"),
        ((1 << 62, 0), "whole numbers >= 0"),
        ((1,) * 65, "at most 32 axes"),
    ],
)
def test_an_npz_header_that_lies_allocates_no_memory(shape, message):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with pytest.raises(WeightsError, match=message):
        parse_weights(_zip([("a.npy", header.getvalue())]))


@pytest.mark.parametrize("descr", ["'|V0'", "'<U0'", "[('a', '<f4')]", "'<M8[s]'", "(" * 5000, "'O'"])
def test_npz_types_that_are_no_numbers(descr):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (0,), }}\n".encode()
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    with pytest.raises(WeightsError, match=r"file: 'a\.npy'"):
        parse_weights(_zip([("a.npy", member)]))


@pytest.mark.parametrize(
    "name", ["../a.npy", "/etc/a.npy", "a/../../b.npy", "..\\a.npy", "C:/a.npy", "a//b.npy", "a/./b.npy", "a\nb.npy"]
)
def test_members_that_reach_out_like_paths(name):
    with pytest.raises(WeightsError, match=r"must not reach out of the file like a path; refused"):
        parse_weights(_zip([(name, _npy(np.ones(2)))]))


def test_a_repeated_name_is_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = _zip([("a.npy", _npy(np.ones(2))), ("a.npy", _npy(np.zeros(2)))])
    with pytest.raises(WeightsError, match="have the same name"):
        parse_weights(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_have_no_bounds(method):
    with pytest.raises(WeightsError, match="must be stored or deflated"):
        parse_weights(_zip([("a.npy", _npy(np.ones(2)))], method))


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """A zip of 5 MB that holds over a gigabyte of zeros."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.npz"
    zeros = bytes(1 << 24)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(4):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                for _ in range(17):
                    member.write(zeros)
    return path


def test_a_decompression_bomb_takes_no_memory(bomb):
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"claim to hold 1140850688, more than 20 times as many"):
        read_weights(str(bomb))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_bomb_that_lies_about_its_size_is_read_no_further_than_claimed():
    honest = _zip([("a.npy", bytes(1 << 26))], zipfile.ZIP_DEFLATED)
    lying = honest.replace(struct.pack("<I", 1 << 26), struct.pack("<I", 1 << 10))
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"file: 'a\.npy'"):
        parse_weights(lying)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_pickle_of_too_many_instructions(monkeypatch):
    monkeypatch.setattr(pickle_machine, "_MAX_INSTRUCTIONS", 1_000)
    # Not only braces: safetensors begins with one after eight bytes.
    pickle = b"\x80\x02" + b"N}" * 1_000 + b"."
    for data in (_zip([("archive/data.pkl", pickle)]), pickle):
        with pytest.raises(WeightsError, match="over 1,000 instructions; refused"):
            parse_weights(data)


# Safetensors


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_safetensors({"a": _entry(offsets=(0, 16))}, bytes(16)), "invalid shape"),
        (_safetensors({"a": _entry((1 << 40,), (0, 1 << 42))}, bytes(8)), "not fully covered"),
        (_safetensors({"a": _entry((1 << 63,), (0, 8))}, bytes(8)), "[Oo]verflow|invalid shape"),
        (_safetensors({"a": _entry(offsets=(8, 0))}, bytes(8)), "invalid offset for tensor `a`"),
        (_safetensors({"a": _entry(offsets=(-8, 0))}, bytes(8)), "invalid value"),
        (_safetensors({"a": _entry(), "b": _entry(offsets=(4, 12))}, bytes(12)), "invalid offset for tensor `b`"),
        (_safetensors({"a": _entry(), "b": _entry()}, bytes(8)), "invalid offset for tensor `[ab]`"),
        (_safetensors({"a": _entry(offsets=(8, 16))}, bytes(16)), "invalid offset for tensor `a`"),
        (_safetensors({"a": _entry()}, bytes(9)), "not fully covered"),
        (_safetensors({"a": _entry((1 << 62, 0), (0, 0))}), "too big"),
        (_safetensors({"a": _entry((1 << 63, 0), (0, 0))}), "dimension exceeded"),
        (_safetensors({"a": _entry((1,) * 65, (0, 4))}, bytes(4)), "maximum supported dimension"),
        (_safetensors({"a": _entry((1.0, 2.0))}, bytes(8)), "invalid type"),
        (_safetensors({"a": _entry((True, 2))}, bytes(8)), "invalid type"),
        (_safetensors({"a": _entry(dtype="X")}, bytes(8)), "unknown variant"),
        (_safetensors({"a": [1]}), "invalid type"),
        (_safetensors({"__metadata__": {"a": 1}}), "invalid type"),
        (_safetensors(b"{" + b'"a":[' * 100_000), "invalid JSON"),
        (_safetensors(b"{}", length=1 << 62), "header too large"),
        (_safetensors(b"{}", length=100_000_001), "header too large"),
        (_safetensors(b"{}", length=1 << 20), "invalid header length"),
        (_safetensors(b"{\xff}"), "invalid UTF-8"),
    ],
)
def test_safetensors_headers_that_lie(data, message):
    with pytest.raises(WeightsError, match=f"file: cannot be read as .safetensors .*({message}).*; fetch it again"):
        parse_weights(data)


def test_safetensors_of_a_type_that_numpy_lacks():
    with pytest.raises(
        WeightsError, match=r"type that NumPy lacks \(float8_e5m2\), as quantised weights; save the model"
    ):
        parse_weights(_safetensors({"a": _entry((8,), dtype="F8_E5M2")}, bytes(8)))


# Indices


@pytest.mark.parametrize(
    "file", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\\b", ".hidden", 7, "a.index.json"]
)
def test_an_index_that_names_files_elsewhere(tmp_path, file):
    safetensors.numpy.save_file({"a": np.ones(1)}, tmp_path / "secret.safetensors")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": file}}))
    with pytest.raises(WeightsError, match="must name files in its own folder"):
        read_weights(str(tmp_path / "in"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000, "\xff"])
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match="index"):
        read_weights(str(tmp_path))


def test_a_shard_that_holds_other_arrays_than_its_index_says(tmp_path):
    safetensors.numpy.save_file({"a": np.ones(1), "extra": np.ones(1)}, tmp_path / "m.safetensors")
    files = {"a": "m.safetensors", "b": "m.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    with pytest.raises(WeightsError, match=r"must hold the 2 arrays .* only in one of the two: b, extra"):
        read_weights(str(tmp_path))
