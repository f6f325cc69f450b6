"""Reads weights files: `.npz`, `.safetensors`, and torch's `.pth`, `.pt` and `.bin`.

Promises: the first bytes decide the kind, not the name, so that a renamed file can be read and a wrong one gets a clear
error; arrays are read straight into their own memory, so that reading needs no more than the parameters do. Folders
that Hugging Face's `save_pretrained` wrote can be read too, with one file or several. Local files only; `finding`
locates others.
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
      WeightsError: the file does not exist, is of no known kind, is damaged, or holds anything but arrays.
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
    # A safetensors file begins with the length of its header (8 bytes) and the header's opening brace. It is checked
    # first: a length can begin like a zip file or a pickle, but neither of them has a brace there.
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
        # pread: overwriting a memory-mapped file in place kills the process; see `file_bytes`.
        return safetensors.numpy.load_file(path, backend="pread")
    except (safetensors.SafetensorError, ValueError, AttributeError) as error:
        # The last two: shapes that NumPy cannot represent, and types (of 8 bits and less) that it lacks.
        raise WeightsError(f"{path}: cannot be read as .safetensors ({error}); fetch it again") from error
