"""Reads `.npz` files, as NumPy and big_vision write them.

Promises: names are kept as they stand in the file ("Transformer/encoderblock_0/..."), and bfloat16, which NumPy
stores as a nameless two-byte type, comes back as bfloat16. Nothing is unpickled: an array of objects is refused, and
an array whose header claims more bytes than the file holds is refused before memory is taken for it.

Not here: mapping names to a tower's parameters (`families`), and `.npy` files, which hold one array without a name.
"""

from __future__ import annotations

import io
import zipfile

import ml_dtypes
import numpy as np

from precompute.weights.errors import WeightsError, reading_zip


def read_npz(data: bytes, where: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an `.npz` file's bytes by name; `where` names the file in errors.

    Raises:
      WeightsError: not a zip, a damaged member, a pickled member, or a header that disagrees with the bytes.
    """
    with reading_zip(where), zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {
            info.filename.removesuffix(".npy"): _read_member(archive, info, f"{where}: {info.filename!r}")
            for info in archive.infolist()
        }


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> np.ndarray:
    if not info.filename.endswith(".npy"):
        raise WeightsError(f"{where}: an .npz file holds .npy members alone; this is not one")
    data = archive.read(info)
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise WeightsError(f"{where}: .npy version must be 1.0 or 2.0, got {version[0]}.{version[1]}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
    except WeightsError:
        raise
    except (ValueError, SyntaxError, TypeError) as error:
        raise WeightsError(f"{where}: its .npy header cannot be read ({error})") from error
    if dtype.hasobject:
        raise WeightsError(f"{where}: holds pickled objects, which are never loaded; save plain arrays instead")
    if any(length < 0 for length in shape):
        raise WeightsError(f"{where}: shape must not be negative, got {shape}")
    return _array(data, stream.tell(), shape, fortran_order, dtype, where)


def _array(
    data: bytes, offset: int, shape: tuple[int, ...], fortran_order: bool, dtype: np.dtype, where: str
) -> np.ndarray:
    count = 1
    for length in shape:  # Python's integers: NumPy's product would wrap around
        count *= length
    if count * dtype.itemsize != len(data) - offset:
        raise WeightsError(
            f"{where}: shape {shape} of {dtype} needs {count * dtype.itemsize} bytes, "
            f"the member holds {len(data) - offset}"
        )
    if dtype.kind == "V":
        if dtype.itemsize != 2 or dtype.names is not None:
            raise WeightsError(f"{where}: dtype must be numeric (or bfloat16 as two nameless bytes), got {dtype}")
        dtype = np.dtype(ml_dtypes.bfloat16)
    elif dtype.kind not in "fiub":
        raise WeightsError(f"{where}: dtype must be numeric, got {dtype}")
    if not count:
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype, count, offset).reshape(shape, order="F" if fortran_order else "C")
