"""Weights files of bad luck, cut off or scrambled: they give arrays or an error, and no read is out of bounds."""

import io
import pathlib

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.file_bytes import FileBytes
from tests.oracles import torch_files
from tests.towers.weights.weights_files import parse_weights

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "weights"
TORCH = {name: (GOLDEN / name).read_bytes() for name in torch_files.FILES}


def _npz():
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(6, dtype=np.float32))
    return stream.getvalue()


_SAFETENSORS = safetensors.numpy.save({"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 2), np.float16)})
_WHOLE = {**TORCH, "npz": _npz(), "safetensors": _SAFETENSORS}


@pytest.mark.parametrize("kind", _WHOLE)
def test_a_file_that_is_cut_off_anywhere_is_refused(kind):
    whole = _WHOLE[kind]
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(WeightsError):
            parse_weights(whole[:end])


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(bytes(1 << 20))
    with path.open("rb") as file:
        data = FileBytes(file, "the file")
        path.write_bytes(b"")
        with pytest.raises(WeightsError, match="the file: ends after 0 of 1048576 bytes"):
            data.read_at(0, 1 << 20)


def _flipped(data, draw):
    for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=8)):
        data[place] = draw(st.integers(0, 255))
    return data


def _moved(data, draw):
    """A range of the file is cut out, doubled, put elsewhere or written over another."""
    first, last = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    part, rest = data[first:last], data[:first] + data[last:]
    to = draw(st.integers(0, len(rest)))
    overwritten = bytearray(data)
    overwritten[to : to + len(part)] = part
    return draw(st.sampled_from([rest, data[:last] + part + data[last:], rest[:to] + part + rest[to:], overwritten]))


def _edited(data, draw):
    """Small numbers of the file, such as lengths and offsets, become others of the same width."""
    place = draw(st.integers(0, max(0, len(data) - 8)))
    value = draw(st.sampled_from([0, 1, 0x7F, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1]))
    width = draw(st.sampled_from([1, 2, 4, 8]))
    data[place : place + width] = value.to_bytes(8, "little")[:width]
    return data


@pytest.mark.parametrize("kind", _WHOLE)
@settings(max_examples=400)
@given(st.data())
def test_damaged_files_give_arrays_or_an_error_that_names_the_file(kind, data):
    damaged = bytearray(_WHOLE[kind])
    for change in data.draw(st.lists(st.sampled_from([_flipped, _moved, _edited]), min_size=1, max_size=3)):
        damaged = bytearray(change(damaged, data.draw)) or bytearray(b"\0")
    try:
        arrays = parse_weights(bytes(damaged), "the file")
    except WeightsError as error:
        assert "/the file: " in str(error)
    else:
        # Whatever came through is memory of the file: reading all of it must be safe.
        assert all(isinstance(array.tobytes(), bytes) for array in arrays.values())
