"""Finds rows by their keys, through an index that is made when it is first needed. Thread-safe."""

import threading
from collections.abc import Callable, Iterable

import pyarrow as pa

from lit_precompute.schemas.reading.files_here import machine_cache
from lit_precompute.schemas.reading.key_index import KeyIndex, open_index
from lit_precompute.schemas.storage import DatasetError


class RowsByKey:
    """The rows of one dataset, by key."""

    def __init__(
        self,
        path: str,
        num_rows: int,
        name: Callable[[], str],
        keys: Callable[[], Iterable[pa.Array]],
        key_at: Callable[[int], str],
    ):
        """Reads nothing yet.

        Args:
          path: of the dataset, for errors.
          num_rows: how many rows it has.
          name: returns the index's name (see `index_name`).
          keys: returns all keys in order, in pieces.
          key_at: returns a row's key.
        """
        self._path, self._num_rows, self._name, self._keys, self._key_at = path, num_rows, name, keys, key_at
        self._lock = threading.Lock()
        self._index: KeyIndex | None = None

    def find(self, key: str) -> int:
        """Returns the first row with this key.

        Raises:
          DatasetError: no row has it.
        """
        if not self._num_rows:
            raise DatasetError(f"{self._path}: no row has the key '{key}': there are no rows")
        with self._lock:
            if self._index is None:
                self._index = open_index(machine_cache, self._name(), self._num_rows, self._keys)
        for row in self._index.candidates(key):
            if self._key_at(row) == key:
                return row
        raise DatasetError(
            f"{self._path}: no row has the key '{key}'; keys are the source's, for example '{self._key_at(0)}'"
        )
