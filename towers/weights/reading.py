"""Reads a weights file of any kind that we know: `.npz`, `.safetensors`, or torch's `.pth`, `.pt` and `.bin`.

Promises: the kind is told by the file's first bytes, not its name, so that a renamed file still reads and a wrong one
gets a clear error; arrays are read straight into memory of their own, so that reading takes what the parameters take.
Also the folders that Hugging Face's `save_pretrained` writes, of one file or of several. Local files alone; `finding`
says where the others are.
"""

from __future__ import annotations

import pathlib

import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Shaped

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.file_bytes import FileBytes
from lit_precompute.towers.weights.folders import find_in_folder, is_index, read_index
from lit_precompute.towers.weights.npz import read_npz
from lit_precompute.towers.weights.torch_pickle import read_torch
from lit_precompute.towers.weights.zip_files import ZipMembers


def read_weights(path: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the arrays of the weights file, index or folder at `path`, named and shaped as in the file.

    Raises:
      WeightsError: there is no such file, or it is of no known kind, damaged, or holds anything but arrays.
    """
    place = pathlib.Path(path)
    if place.is_dir():
        place = find_in_folder(place)
    return _read_shards(place) if is_index(place.name) else _read_file(place)


def _read_file(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            return _parse(FileBytes(file, str(path)), path)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; put it there or name another") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error


def _read_shards(index: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of all files that an index names, each file read once."""
    files = read_index(index)
    arrays: dict[str, np.ndarray] = {}
    for file in sorted(set(files.values())):
        found = _read_file(index.with_name(file))
        expected = {name for name, holder in files.items() if holder == file}
        if found.keys() != expected:
            odd = sorted(found.keys() ^ expected)
            raise WeightsError(
                f"{index.with_name(file)}: must hold the {len(expected)} arrays that {index.name} says; these are "
                f"only in one of the two: {', '.join(odd[:5])}"
            )
        arrays |= found
    return arrays


def _parse(data: FileBytes, path: pathlib.Path) -> dict[str, np.ndarray]:
    first = data.read_at(0, min(data.size, 9)).tobytes()
    # A safetensors file opens with the length of its header (8 bytes), then the header's first brace. It comes first: a
    # length can begin as zip files and pickles do, but neither of them has a brace there.
    if first[8:9] == b"{":
        return _read_safetensors(path)
    if first[:2] == b"PK":
        members = ZipMembers(data)
        is_torch = any(name.endswith("/data.pkl") or name == "data.pkl" for name in members.names())
        return read_torch(data, members) if is_torch else read_npz(members, data.where)
    if first[:1] == b"\x80":
        return read_torch(data, None)
    raise WeightsError(
        f"{data.where}: must be .npz, .safetensors or torch's .pth, .pt or .bin; "
        f"its {data.size} bytes begin with {first[:8]!r}"
    )


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        # pread, as a mapped file that is written anew in place ends the process; see `file_bytes`.
        return safetensors.numpy.load_file(path, backend="pread")
    except (safetensors.SafetensorError, ValueError, AttributeError) as error:
        # The last two: shapes that NumPy cannot have, and types (of 8 bits and less) that it does not have.
        raise WeightsError(f"{path}: cannot be read as .safetensors ({error}); fetch it again") from error
