"""Reads weights files: `.npz`, `.safetensors`, and torch's `.pth`, `.pt` and `.bin`.

Promises: the first bytes decide the kind, not the name, so that a renamed file can be read and a wrong one gets a clear
error; each array is read when it is asked for, straight into its own memory, so that files need not fit the memory at
once. Folders that Hugging Face's `save_pretrained` wrote can be read too, with one file or several. Local files only;
`finding` locates others.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import safetensors
from jaxtyping import Shaped

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.file_bytes import FileBytes
from lit_precompute.towers.weights.folders import find_in_folder, is_index, read_index
from lit_precompute.towers.weights.npz import open_npz
from lit_precompute.towers.weights.stored import StoredArray
from lit_precompute.towers.weights.torch_pickle import open_torch
from lit_precompute.towers.weights.zip_files import ZipMembers

# What a clone without Git LFS has in a large file's place.
_GIT_LFS = b"version https://git-lfs"


@contextlib.contextmanager
def open_weights(path: str) -> Iterator[Mapping[str, StoredArray]]:
    """Opens the weights file, index or folder at `path`: its arrays can be read during the block, none is read yet.

    Files stay open, so that one that is replaced meanwhile is read to its end.

    Yields:
      The arrays, named and shaped as in the file.

    Raises:
      WeightsError: the file does not exist, is of no known kind, is damaged, or holds anything but arrays; what only
        an array's bytes show is raised when it is read.
    """
    place = pathlib.Path(path)
    if place.is_dir():
        place = find_in_folder(place)
    with contextlib.ExitStack() as files:
        yield _open_shards(place, files) if is_index(place.name) else _open_file(place, files)


def read_weights(path: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the arrays of the weights file, index or folder at `path`, named and shaped as in the file.

    Raises:
      WeightsError: as `open_weights`.
    """
    with open_weights(path) as arrays:
        return {name: array.read() for name, array in arrays.items()}


def _open_file(path: pathlib.Path, files: contextlib.ExitStack) -> dict[str, StoredArray]:
    with _reading(path):
        file = files.enter_context(path.open("rb"))
        arrays = _parse(FileBytes(file, str(path)), path, files)
    return {name: StoredArray(array.shape, _Reader(path, array)) for name, array in arrays.items()}


class _Reader:
    """Reads one array; what the system says of the file becomes an error that names it."""

    def __init__(self, path: pathlib.Path, array: StoredArray):
        self._path, self._array = path, array

    def __call__(self) -> np.ndarray:
        with _reading(self._path):
            return self._array.read()


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; put it there or name another") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error


def _open_shards(index: pathlib.Path, files: contextlib.ExitStack) -> dict[str, StoredArray]:
    """Returns the arrays of all files that an index names."""
    holders = read_index(index)
    arrays: dict[str, StoredArray] = {}
    for file in sorted(set(holders.values())):
        found = _open_file(index.with_name(file), files)
        expected = {name for name, holder in holders.items() if holder == file}
        if found.keys() != expected:
            odd = sorted(found.keys() ^ expected)
            raise WeightsError(
                f"{index.with_name(file)}: must hold the {len(expected)} arrays that {index.name} says; these are "
                f"only in one of the two: {', '.join(odd[:5])}"
            )
        arrays |= found
    return arrays


def _parse(data: FileBytes, path: pathlib.Path, files: contextlib.ExitStack) -> dict[str, StoredArray]:
    first = data.read_at(0, min(data.size, 9)).tobytes()
    # A safetensors file begins with the length of its header (8 bytes) and the header's opening brace. It is checked
    # first: a length can begin like a zip file or a pickle, but neither of them has a brace there.
    if first[8:9] == b"{":
        return _open_safetensors(path, files)
    if first[:2] == b"PK":
        members = ZipMembers(data)
        is_torch = any(name.endswith("/data.pkl") or name == "data.pkl" for name in members.names())
        return open_torch(data, members) if is_torch else open_npz(members, data.where)
    if first[:1] == b"\x80":
        return open_torch(data, None)
    if data.read_at(0, min(data.size, len(_GIT_LFS))).tobytes() == _GIT_LFS:
        raise WeightsError(f"{data.where}: is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder")
    raise WeightsError(
        f"{data.where}: must be .npz, .safetensors or torch's .pth, .pt or .bin; "
        f"its {data.size} bytes begin with {first[:8]!r}"
    )


def _open_safetensors(path: pathlib.Path, files: contextlib.ExitStack) -> dict[str, StoredArray]:
    with _reading_safetensors(path):
        # pread: overwriting a memory-mapped file in place kills the process; see `file_bytes`.
        opened: Any = files.enter_context(safetensors.safe_open(path, framework="np", backend="pread"))
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118

    def stored(name: str) -> StoredArray:
        def read() -> np.ndarray:
            with _reading_safetensors(path):
                return opened.get_tensor(name)

        return StoredArray(shapes[name], read)

    return {name: stored(name) for name in shapes}


@contextlib.contextmanager
def _reading_safetensors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except AttributeError as error:  # of NumPy
        raise WeightsError(
            f"{path}: has arrays of a type that NumPy lacks ({error.name}), as quantised weights; save the model in "
            "float32, bfloat16 or float16"
        ) from error
    except (safetensors.SafetensorError, ValueError) as error:  # the latter: shapes that NumPy cannot represent
        raise WeightsError(f"{path}: cannot be read as .safetensors ({error}); fetch it again") from error
