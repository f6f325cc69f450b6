"""Rows by key: a sorted list of the keys' hashes, made once on this machine and looked up on its disk.

Promises: 16 bytes a row in this machine's cache (or in a temporary file, where that cannot be written to), for as long
as it has room, shared by processes; memory stays bounded while it is made (a two hundred and fifty-sixth of it) and
looked up. A lookup compares the keys themselves: hashes only say where to look.

The file has the hashes, uint64 [n], ascending, and then the row of each, int64 [n].
"""

import contextlib
import errno
import hashlib
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.random_draws import Draws
from lit_precompute.schemas.storage import FileCache
from lit_precompute.schemas.string_hashes import hash_strings

_ROW_BYTES = 16
# Of the cache's folder; where it is a file of the dataset that is refused, it is so again.
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
_NUM_PARTS = 256
_PART_SHIFT = 56  # the upper eight bits of a hash say which part it is in
_AT_ONCE = 1 << 20  # rows that are put into parts together
_PAIR = np.dtype([("hash", np.uint64), ("row", np.int64)])


class KeyIndex:
    """The index of one dataset. Thread-safe."""

    def __init__(self, path: pathlib.Path, num_rows: int):
        """Opens the file; it may be removed afterwards."""
        numbers = np.memmap(path, np.uint64, "r", shape=(2 * num_rows,))
        self._hashes, self._rows = numbers[:num_rows], numbers[num_rows:].view(np.int64)

    def candidates(self, key: str) -> list[int]:
        """Returns the rows, ascending, that may have a key; only their keys tell."""
        wanted = hash_strings(pa.array([key]))[0]
        first, end = (int(np.searchsorted(self._hashes, wanted, side)) for side in ("left", "right"))
        return sorted(self._rows[first:end].tolist())


def open_index(
    cache: Callable[[], FileCache], name: str, num_rows: int, keys: Callable[[], Iterable[pa.Array]]
) -> KeyIndex:
    """Returns the index of this name, which is made if it is not in the cache.

    Args:
      cache: returns this machine's cache.
      name: what tells the rows' keys from all others, in hexadecimal.
      num_rows: how many there are, at least one.
      keys: returns the keys of all rows, in order and in pieces.
    """

    def make(path: pathlib.Path) -> None:
        _write(path, keys(), num_rows)

    with contextlib.ExitStack() as closing:
        try:
            held = closing.enter_context(contextlib.closing(cache().make(name, _ROW_BYTES * num_rows, make)))
            return KeyIndex(held.path, num_rows)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            path = pathlib.Path(closing.enter_context(tempfile.TemporaryDirectory()), "keys")
            make(path)
            return KeyIndex(path, num_rows)


def index_name(table: str, sha256: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """Returns a name for the index of a table with these files."""
    return hashlib.sha256(b"hashes of keys of " + table.encode() + sha256.tobytes()).hexdigest()


def _write(path: pathlib.Path, keys: Iterable[pa.Array], num_rows: int) -> None:
    """Writes the index of all keys to a file."""
    with contextlib.ExitStack() as files, path.open("wb") as file:
        parts = [files.enter_context(tempfile.TemporaryFile(dir=path.parent)) for _ in range(_NUM_PARTS)]
        for pairs in _pairs(keys):
            _share_out(pairs, parts)
        file.truncate(_ROW_BYTES * num_rows)
        first = 0
        for part in parts:
            part.seek(0)
            pairs = np.frombuffer(part.read(), _PAIR)
            order = np.argsort(pairs["hash"])
            for column, start in (("hash", 0), ("row", 8 * num_rows)):
                file.seek(start + 8 * first)
                file.write(pairs[column][order].tobytes())
            first += len(pairs)
        assert first == num_rows, (first, num_rows)


def _pairs(keys: Iterable[pa.Array]) -> Iterator[np.ndarray[Any, Any]]:
    """Yields hashes with their rows, many at once."""
    pieces: list[Draws] = []
    first = num_waiting = 0
    for piece in keys:
        pieces.append(hash_strings(piece))
        num_waiting += len(piece)
        if num_waiting >= _AT_ONCE:
            yield _paired(pieces, first)
            first, num_waiting, pieces = first + num_waiting, 0, []
    if pieces:
        yield _paired(pieces, first)


def _paired(pieces: list[Draws], first: int) -> np.ndarray[Any, Any]:
    pairs = np.empty(sum(map(len, pieces)), _PAIR)
    pairs["hash"] = np.concatenate(pieces)
    pairs["row"] = np.arange(first, first + len(pairs))
    return pairs


def _share_out(pairs: np.ndarray[Any, Any], parts: Sequence[BinaryIO]) -> None:
    """Appends each pair to the part of its hash."""
    numbers = (pairs["hash"] >> np.uint64(_PART_SHIFT)).astype(np.uint8)
    pairs = pairs[np.argsort(numbers, kind="stable")]
    for part, piece in zip(
        parts, np.split(pairs, np.cumsum(np.bincount(numbers, minlength=_NUM_PARTS))[:-1]), strict=True
    ):
        part.write(piece.tobytes())
