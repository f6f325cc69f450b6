"""Files of keys: text with one a line, a column of a Parquet file, or DataComp's .npy of uids.

Promises: a file is read in pieces; no pickle is loaded.

A uid of DataComp is 32 hexadecimal digits; its files hold the two halves as numbers, in an array of the type `u8,u8`.
"""

import pathlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lit_precompute.schemas.storage import DatasetError, absolute, open_file

_PIECE_BYTES = 1 << 24
_UID = np.dtype("u8,u8")
_UID_DIGITS = 32


def read_keys(path: str, column: str) -> Iterator[pa.Array]:
    """Yields the keys of a file in pieces; `column` is the one of a Parquet file.

    Raises:
      FileNotFoundError: there is no such file.
      DatasetError: it holds no keys.
    """
    where = absolute(path, what="keys", writing=False)
    with open_file(where) as file:
        suffix = pathlib.PurePosixPath(where).suffix.lower()
        if suffix == ".npy":
            yield from _read_npy(file, where)
        elif suffix in (".parquet", ".pq"):
            yield from _read_parquet(file, where, column)
        else:
            yield from _read_lines(file, where)


def _read_npy(file: BinaryIO, where: str) -> Iterator[pa.Array]:
    try:
        uids = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DatasetError(f"{where}: cannot be read as an array ({error}); give keys as text, one a line") from error
    if uids.dtype.newbyteorder("=") != _UID or uids.ndim != 1:
        raise DatasetError(
            f"{where}: must be uids as DataComp saves them, one dimension of the type u8,u8, got {uids.ndim} of "
            f"{uids.dtype}; give other keys as text, one a line"
        )
    step = _PIECE_BYTES // _UID_DIGITS
    for start in range(0, len(uids), step):
        yield _uids_to_keys(uids[start : start + step])


def _uids_to_keys(uids: np.ndarray[Any, Any]) -> pa.Array:
    halves = np.stack([uids["f0"], uids["f1"]], axis=1).astype(">u8")
    digits = halves.tobytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, _UID_DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(uids), pa.py_buffer(offsets), pa.py_buffer(digits))


def _read_parquet(file: BinaryIO, where: str, column: str) -> Iterator[pa.Array]:
    try:
        with pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            if column not in schema.names:
                raise DatasetError(f"{where}: has no column '{column}' of keys; it has {schema.names}")
            for batch in parquet.iter_batches(columns=[column]):
                yield _to_strings(batch.column(0), f"{where}, column '{column}'")
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{where}: cannot be read as Parquet ({error})") from error


def _to_strings(values: pa.Array, where: str) -> pa.Array:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        raise DatasetError(f"{where}: keys must be strings, got {values.type}")
    if values.null_count:
        raise DatasetError(f"{where}: keys must not be null, got {values.null_count} that are")
    return values.cast(pa.string())


def _read_lines(file: BinaryIO, where: str) -> Iterator[pa.Array]:
    rest, is_first = b"", True
    while piece := file.read(_PIECE_BYTES):
        if is_first:
            piece, is_first = piece.removeprefix(b"\xef\xbb\xbf"), False
        *lines, rest = (rest + piece).split(b"\n")
        yield _lines_to_keys(lines, where)
    yield _lines_to_keys([rest], where)


def _lines_to_keys(lines: list[bytes], where: str) -> pa.Array:
    try:
        keys = pa.array([line.removesuffix(b"\r") for line in lines], pa.binary()).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{where}: keys must be text in UTF-8, one a line: {error}") from error
    return keys.filter(pc.call_function("not_equal", [keys, pa.scalar("")]))
