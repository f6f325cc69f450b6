"""Reads a weights file of any kind that we know: `.npz`, `.safetensors`, or torch's `.pth`, `.pt` and `.bin`.

Promises: the kind is told by the file's first bytes, not its name, so that a renamed file still reads and a wrong one
gets a clear error. Local paths and whatever fsspec knows (`gs://`, `s3://`). Not here: downloads by a model's name.
"""

from __future__ import annotations

import zipfile
from io import BytesIO

import fsspec
import numpy as np

from precompute.weights.errors import WeightsError, reading_zip
from precompute.weights.npz import read_npz
from precompute.weights.safetensors import read_safetensors
from precompute.weights.torch_pickle import read_torch


def read_weights(path: str) -> dict[str, np.ndarray]:
    """Returns the arrays of the weights file at `path`, named and shaped as in the file.

    Raises:
      WeightsError: there is no such file, or it is of no known kind, damaged, or holds anything but arrays.
    """
    try:
        with fsspec.open(path, "rb") as file:
            data = file.read()  # pyright: ignore[reportAttributeAccessIssue]
    except (FileNotFoundError, IsADirectoryError) as error:
        raise WeightsError(f"{path}: no such weights file; put it there or name another") from error
    return parse_weights(data, path)


def parse_weights(data: bytes, where: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a weights file's bytes; `where` names the file in errors.

    Raises:
      WeightsError: see `read_weights`.
    """
    if data[:2] == b"PK":
        return read_torch(data, where) if _is_torch_zip(data) else read_npz(data, where)
    # A safetensors file opens with the length of its header in 8 bytes, of which a sane one fills half, then the
    # header's first brace. Asked before pickles, since the length may well begin with their first byte.
    if data[4:9] == b"\0\0\0\0{":
        return read_safetensors(data, where)
    if data[:1] == b"\x80":
        return read_torch(data, where)
    raise WeightsError(
        f"{where}: must be .npz, .safetensors or torch's .pth, .pt or .bin; "
        f"its {len(data)} bytes begin with {data[:8]!r}"
    )


def _is_torch_zip(data: bytes) -> bool:
    try:
        with reading_zip(""), zipfile.ZipFile(BytesIO(data)) as archive:
            return any(name.endswith("/data.pkl") or name == "data.pkl" for name in archive.namelist())
    except WeightsError:
        return False  # the .npz reader says what is wrong with it
