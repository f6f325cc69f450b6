"""Reads torch's `.pth`, `.pt` and `.bin` files without torch, and without running anything in them.

Promises: both layouts of torch.save (the zip of torch 1.6 and later, and the earlier sequence of pickles) give named
arrays; everything but tensors is refused by name. Sizes, offsets and strides are checked against the bytes in the file,
so that no array reaches outside its storage.

Not here: the tar files of torch before 0.1.10, tensors that are sparse, quantised or expanded by stride 0, and whole
pickled modules, which are programs. Source: files written by torch.save; tests/golden/towers has both layouts.
"""

from __future__ import annotations

import collections
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.file_bytes import FileBytes
from lit_precompute.towers.weights.pickle_machine import Name, Tensor, run_pickle
from lit_precompute.towers.weights.shapes import as_array, check_shape, empty
from lit_precompute.towers.weights.stored import StoredArray, shared
from lit_precompute.towers.weights.zip_files import ZipMembers


class Storage(NamedTuple):
    """What one or several tensors are views of: how many bytes it has, and a function that reads them."""

    num_bytes: int
    read: Callable[[], np.ndarray]


OpenStorage = Callable[[str], Storage]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_PICKLE = "data.pkl"
_MAX_PICKLE_BYTES = 1 << 26  # some 200 bytes a tensor

_STORAGE_DTYPES = {
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
}
# Under which training scripts store the weights next to the optimiser's state.
_WRAPPERS = ("state_dict", "model", "model_state")


def open_torch(data: FileBytes, members: ZipMembers | None) -> dict[str, StoredArray]:
    """Returns the tensors of a torch file by name, read-only.

    Args:
      data: the file.
      members: of a zip file; None for a sequence of pickles.

    Raises:
      WeightsError: the file is damaged, is not little-endian, asks for anything but tensors, or has a tensor that
        reaches outside its storage; also when a tensor is read.
    """
    where = data.where
    value, open_storage = _open_legacy(data) if members is None else _open_zip(members, where)
    for wrapper in _WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    if not isinstance(value, dict):
        raise WeightsError(f"{where}: must hold a dict of tensors (a state_dict), got {type(value).__name__}")
    tensors: dict[str, Tensor] = {}
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"{where}: {str(name)[:80]!r} must be a tensor, got {type(tensor).__name__}")
        tensors[name] = tensor
    keys = {name: _storage(tensor.storage, f"{where}: {name!r}")[1] for name, tensor in tensors.items()}
    num_views = collections.Counter(keys.values())
    storages: dict[str, Storage] = {}
    for key in num_views:
        num_bytes, read = open_storage(key)
        storages[key] = Storage(num_bytes, shared(read, num_views[key]))
    return {name: _stored(tensor, storages[keys[name]], f"{where}: {name!r}") for name, tensor in tensors.items()}


def _open_zip(members: ZipMembers, where: str) -> tuple[Any, OpenStorage]:
    """Returns the pickled value of a zip file, and a function from a storage's key to the storage."""
    pickles = [name for name in members.names() if name.split("/")[-1] == _PICKLE]
    if len(pickles) != 1:
        raise WeightsError(f"{where}: a torch file holds one {_PICKLE}, got {len(pickles)}")
    folder = pickles[0].removesuffix(_PICKLE)
    if f"{folder}byteorder" in members.names():
        order = members.read(f"{folder}byteorder", max_bytes=64).tobytes()
        if order != b"little":
            raise WeightsError(f"{where}: must be little-endian, got {order!r}")
    program = members.read(pickles[0], max_bytes=_MAX_PICKLE_BYTES).tobytes()
    value = run_pickle(FileBytes(io.BytesIO(program), where), where)

    def open_storage(key: str) -> Storage:
        name = f"{folder}data/{key}"
        return Storage(members.size(name), lambda: members.read(name))

    return value, open_storage


def _open_legacy(data: FileBytes) -> tuple[Any, OpenStorage]:
    """Returns the pickled value of a sequence of pickles, and a function from a storage's key to the storage."""
    where = data.where
    data.seek(0)
    magic, protocol, system = (run_pickle(data, where) for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise WeightsError(f"{where}: a pickle, but not one of torch's (its first value is {_words(magic)}); refused")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError(f"{where}: must be little-endian, got {_words(system)}")
    value, keys = run_pickle(data, where), run_pickle(data, where)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError(f"{where}: the list of storages in it is damaged; fetch it again")
    places = _legacy_places(data, keys, _storage_sizes(value))

    def open_storage(key: str) -> Storage:
        if key not in places:
            raise WeightsError(f"{where}: storage {key!r} is not in the file")
        return Storage(places[key][1], lambda: data.read_at(*places[key]))

    return value, open_storage


def _legacy_places(data: FileBytes, keys: Sequence[str], sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Returns each storage's position and number of bytes; they follow each other at the file's end."""
    position = data.tell()
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        # Each storage is its number of elements in 8 bytes, then the elements.
        count = int.from_bytes(data.read_at(position, 8).tobytes(), "little")
        num_bytes = count * sizes.get(key, 0)
        position += 8
        if key not in sizes or position + num_bytes > data.size or key in places:
            raise WeightsError(
                f"{data.where}: storage {key[:80]!r} of {count} elements ends past the file's {data.size} bytes, "
                "belongs to no tensor or occurs twice; fetch it again"
            )
        places[key] = (position, num_bytes)
        position += num_bytes
    return places


def _storage_sizes(value: Any) -> Mapping[str, int]:
    """Returns the bytes per element of each storage that a tensor in nested dicts refers to."""
    sizes: dict[str, int] = {}
    pending = [value]
    visited: set[int] = set()
    while pending:
        item = pending.pop()
        if isinstance(item, dict) and id(item) not in visited:
            visited.add(id(item))  # a dict may contain itself
            pending.extend(item.values())
        elif isinstance(item, Tensor) and isinstance(item.storage, tuple) and len(item.storage) >= 5:
            kind, key = item.storage[1:3]
            if isinstance(kind, Name) and kind.name in _STORAGE_DTYPES and isinstance(key, str):
                sizes[key] = _STORAGE_DTYPES[kind.name].itemsize
    return sizes


def _stored(tensor: Tensor, storage: Storage, where: str) -> StoredArray:
    """Returns the tensor, which is read as a read-only view of its storage."""
    dtype, _ = _storage(tensor.storage, where)
    for field in (tensor.shape, tensor.strides):
        if not isinstance(field, tuple):
            raise WeightsError(f"{where}: shape and strides must be tuples of whole numbers, got {_words(field)}")
    shape, strides = check_shape(tensor.shape, where), check_shape(tensor.strides, where)
    offset = check_shape((tensor.offset,), where)[0]
    if len(shape) != len(strides):
        raise WeightsError(f"{where}: shape {shape} and strides {strides} must be of one length")
    count, num_stored = math.prod(shape), storage.num_bytes // dtype.itemsize
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if count and last >= num_stored:
        raise WeightsError(
            f"{where}: shape {shape}, strides {strides} and offset {offset} reach element {last}, "
            f"the storage has {num_stored}"
        )
    if count > num_stored:
        # A few stored bytes could claim to be terabytes.
        raise WeightsError(f"{where}: must not have more elements ({count}) than its storage ({num_stored})")
    byte_strides = tuple(stride * dtype.itemsize for stride in strides)

    def read() -> np.ndarray:
        stored = storage.read()
        if not count:
            return empty(shape, dtype)
        elements = as_array(stored[: num_stored * dtype.itemsize], dtype, (num_stored,))
        return np.lib.stride_tricks.as_strided(elements[offset:], shape, byte_strides, writeable=False)

    return StoredArray(shape, read)


def _storage(persistent_id: Any, where: str) -> tuple[np.dtype, str]:
    match persistent_id:
        case ("storage", Name(name), str(key), *_) if name in _STORAGE_DTYPES:
            # A fifth field names a window into another storage; torch has not written one since 2017.
            if len(persistent_id) > 5 and persistent_id[5] is not None:
                raise WeightsError(
                    f"{where}: windows into other storages are not read; save the file with a newer torch"
                )
            return _STORAGE_DTYPES[name], key
        case _:
            raise WeightsError(
                f"{where}: its storage must be one of {sorted(_STORAGE_DTYPES)}, got {_words(persistent_id)}"
            )


def _words(value: Any) -> str:
    """Returns a short description of a value; the text of one nested a million deep cannot be made."""
    if isinstance(value, tuple | list | dict):
        return f"{type(value).__name__} of {len(value)}" + "".join(
            f", {item.name}" for item in value if isinstance(item, Name)
        )
    return repr(value)[:80]
