"""Weights files: what others wrote comes back to the bit; hostile pickles run nothing and are named."""

import io
import json
import os
import pathlib
import pickle
import pickletools
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.reading import read_weights
from tests.oracles import efficientnet, torch_files
from tests.towers.weights.weights_files import parse_weights

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "weights"
ZIP, LEGACY = ((GOLDEN / name).read_bytes() for name in torch_files.FILES)


def _assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _with_pickle(payload, members=()):
    """Returns a zip of torch's layout around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        for name, data in members:
            archive.writestr(f"archive/{name}", data)
    return stream.getvalue()


@pytest.mark.parametrize("data", [ZIP, LEGACY], ids=torch_files.FILES)
def test_what_torch_saved(data):
    _assert_same(parse_weights(data), torch_files.expected())


def test_the_published_file():
    arrays = read_weights(str(efficientnet.published_file()))
    assert efficientnet.file_shapes().items() <= {name: array.shape for name, array in arrays.items()}.items()
    assert sum(array.size for name, array in arrays.items() if name.startswith("_fc")) == 1_281_000
    # Variances are not negative; bytes read from another place would be.
    assert all((array >= 0).all() for name, array in arrays.items() if name.endswith("running_var"))


def test_npz_keeps_names_types_and_order():
    arrays = {
        "Transformer/encoderblock_0/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
        "bfloat16": np.arange(4).astype(ml_dtypes.bfloat16),
        "scalar": np.asarray(3, np.int64),
        "empty": np.zeros((0, 2), np.float32),
    }
    _assert_same(parse_weights(_npz(**arrays)), arrays)


def test_safetensors_keeps_names_and_types(tmp_path):
    arrays = {
        "embeddings.cls_token": np.ones((1, 1, 4), np.float32),
        "half": np.arange(3, dtype=np.float16),
        "bfloat16": np.arange(4).astype(ml_dtypes.bfloat16),
        "scalar": np.asarray(3.0, np.float32),
    }
    safetensors.numpy.save_file(arrays, tmp_path / "renamed.bin")
    _assert_same(read_weights(str(tmp_path / "renamed.bin")), arrays)


@pytest.mark.parametrize("length", [0x80, 0x4B50])
def test_a_header_as_long_as_a_pickle_or_zip_file_begins(length):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(length).encode()
    file = struct.pack("<Q", length) + header + struct.pack("<f", 3.0)
    assert file[:1] == b"\x80" or file[:2] == b"PK"
    _assert_same(parse_weights(file), {"a": np.asarray([3.0], np.float32)})


class _Runs:
    """Pickles into a call of os.mkdir."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [_with_pickle, bytes], ids=["zip", "legacy"])
def test_a_call_in_a_file_is_named_and_not_made(tmp_path, protocol, wrap):
    target = tmp_path / "made"
    data = wrap(pickle.dumps({"weight": _Runs(str(target))}, protocol=protocol))
    with pytest.raises(WeightsError, match=r"asks to load 'posix\.mkdir'.*refused"):
        parse_weights(data)
    assert not target.exists()


def test_the_hostile_pickle_would_have_run(tmp_path):
    pickle.loads(pickle.dumps(_Runs(str(tmp_path / "made"))))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"cposix\nsystem\n.", "posix.system"),
        (b"\x80\x02ctorch.nn\nLinear\n.", "torch.nn.Linear"),
        (b"\x80\x02ctorch\nevil.FloatStorage\n.", "evil"),
        (b"\x80\x02ccollections\nOrderedDict\n(K\x01t\x81.", "NEWOBJ"),
        (b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.", "OrderedDict in a way"),
        (b"\x80\x02}}b}.", "leaves 2 values"),
        (b"\x80\x02}K\x01", "damaged"),
        (b"\x80\x02h\x07.", "memo entry 7"),
        (b"\x80\x02K\x01.", "dict of tensors"),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x01s.", "'a' must be a tensor"),
        (b"\x80\x02}(K\x01K\x02K\x03u.", "key without a value"),
    ],
)
def test_pickles_that_hold_no_tensors(payload, message):
    with pytest.raises(WeightsError, match=message):
        parse_weights(_with_pickle(payload))


def _tensor_pickle(*, shape=(2, 3), strides=(3, 1), offset=0, storage="FloatStorage", key="0"):
    """Returns the pickle of {"w": a tensor}, in torch's instructions."""

    def whole(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    persistent = b"(" + text("storage") + b"ctorch\n" + storage.encode() + b"\n" + text(key) + text("cpu") + b"K\x06tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + b"J" + struct.pack("<i", offset)
    call += whole(shape) + whole(strides) + b"\x89}tR"
    return b"\x80\x02}" + text("w") + call + b"s."


def _tensor_file(**fields):
    return _with_pickle(_tensor_pickle(**fields), [("data/0", np.arange(6, dtype=np.float32).tobytes())])


def test_a_tensor_built_by_hand_is_read():
    pickletools.dis(_tensor_pickle(), io.StringIO())
    np.testing.assert_array_equal(parse_weights(_tensor_file())["w"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"offset": 1}, "reach element 6, the storage has 6"),
        ({"shape": (3, 3)}, "reach element 8"),
        ({"strides": (4, 1)}, "reach element 6"),
        ({"strides": (0, 0), "shape": (1 << 20, 1 << 20)}, "must not have more elements"),
        ({"offset": -1}, "whole numbers >= 0"),
        ({"shape": (-1, 3)}, "whole numbers >= 0"),
        ({"shape": (2,)}, "of one length"),
        ({"storage": "QInt8Storage"}, "must be one of"),
        ({"key": "../../secret"}, "missing in its zip file"),
    ],
)
def test_a_tensor_that_reaches_outside_its_storage(fields, message):
    with pytest.raises(WeightsError, match=message):
        parse_weights(_tensor_file(**fields))


@pytest.mark.parametrize("data", [b"", b"hello, world", b"\x89PNG\r\n", b"PK\x03\x04 cut off"])
def test_files_of_no_known_kind(data):
    with pytest.raises(WeightsError, match=r"file: (must be \.npz|missing or damaged)"):
        parse_weights(data)


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        read_weights(str(tmp_path / "none.npz"))


def test_a_folder_of_save_pretrained(tmp_path):
    arrays = {"a": np.ones(3, np.float32), "b": np.zeros((2, 2), np.float16), "c": np.asarray(1.0, np.float32)}
    for number, names in enumerate((("a", "c"), ("b",)), 1):
        safetensors.numpy.save_file({name: arrays[name] for name in names}, tmp_path / f"model-{number}.safetensors")
    files = {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    _assert_same(read_weights(str(tmp_path)), arrays)
    safetensors.numpy.save_file({"whole": np.ones(1)}, tmp_path / "model.safetensors")
    _assert_same(read_weights(str(tmp_path)), {"whole": np.ones(1)})


def test_a_folder_with_torchs_name(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(ZIP)
    _assert_same(read_weights(str(tmp_path)), torch_files.expected())


def test_an_empty_folder(tmp_path):
    with pytest.raises(WeightsError, match=r"holds one of model\.safetensors, .*; name the file itself"):
        read_weights(str(tmp_path))


def test_an_adapter_is_no_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"holds an adapter \(adapter_config.json\) without the model"):
        read_weights(str(tmp_path))
