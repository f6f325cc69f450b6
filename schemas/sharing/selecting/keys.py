"""Rows by their keys, of which there may be many millions.

Promises: keys of equal hashes are compared themselves. Each key that is asked for takes 17 bytes of memory and its own
length; up to four times as much while they are loaded.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.schemas.limits import limit
from lit_precompute.schemas.random_draws import Draws
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.sharing.selecting.criteria import Criterion
from lit_precompute.schemas.sharing.selection import Mask
from lit_precompute.schemas.storage import DatasetError, refuse_url, write_text_atomically
from lit_precompute.schemas.string_hashes import hash_strings
from lit_precompute.schemas.tables import KEY
from lit_precompute.schemas.wording import counted

_NUM_NAMED = 10
_HASHED_AT_ONCE = 1 << 16


class Keys(Criterion):
    """Rows that have one of some keys."""

    name = "keys"
    columns = (KEY,)
    sees_all = True  # what other criteria leave out is in the dataset all the same

    def __init__(self, path: str, pieces: Iterable[pa.Array], max_missing: str = "0", unmatched: str | None = None):
        """Loads the keys.

        Args:
          path: the name of their file.
          pieces: the keys.
          max_missing: how many may be no row's: a count, or a share of them.
          unmatched: where to write those that are, one a line.

        Raises:
          DatasetError: there are no keys, or `unmatched` is a URL.
        """
        if unmatched is not None:
            refuse_url("--unmatched", unmatched)
        self._path, self._max_missing, self._unmatched = path, max_missing, unmatched
        given = list(pieces)
        num_given = sum(map(len, given))
        if not num_given:
            raise DatasetError(f"{path}: has no keys")
        keys = pc.call_function("unique", [pa.chunked_array(given)]).cast(pa.large_string())
        del given  # each copy counts
        starts = range(0, len(keys), _HASHED_AT_ONCE)
        hashes = np.concatenate([hash_strings(keys.slice(start, _HASHED_AT_ONCE)) for start in starts])
        order = np.argsort(hashes)
        self._hashes, self._keys = hashes[order], keys.take(pa.array(order))
        self._found = np.zeros(len(order), np.bool_)
        self.num_repeated = num_given - len(order)

    def __len__(self) -> int:
        """Returns how many keys are asked for, each counted once."""
        return len(self._keys)

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        keys = rows[KEY]
        hashes = hash_strings(keys)
        places = np.searchsorted(self._hashes, hashes)
        matched = np.zeros(rows.num_rows, np.bool_)
        left = self._of_equal_hash(np.arange(rows.num_rows), places, hashes)
        while len(left):
            candidates = self._keys.take(pa.array(places[left]))
            equal = pc.call_function("equal", [candidates, keys.take(pa.array(left)).cast(pa.large_string())])
            is_equal = equal.to_numpy(zero_copy_only=False)
            matched[left[is_equal]] = True
            self._found[places[left[is_equal]]] = True
            left = left[~is_equal]
            places[left] += 1
            left = self._of_equal_hash(left, places, hashes)
        return matched

    def _of_equal_hash(self, rows: np.ndarray[Any, Any], places: np.ndarray[Any, Any], hashes: Draws) -> Any:
        """Returns those of these rows whose place has a key with the row's hash."""
        rows = rows[places[rows] < len(self._hashes)]
        return rows[self._hashes[places[rows]] == hashes[rows]]

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"file": self._path, "num_asked": len(self), "num_missing": int((~self._found).sum())}

    def missing(self) -> pa.Array:
        """Returns the keys that no row has, sorted."""
        keys = self._keys.filter(pa.array(~self._found))
        return keys.take(pc.call_function("array_sort_indices", [keys]))

    def finish(self, dataset: EmbeddingDataset) -> list[str]:
        """Says which keys no row has, and lists them in a file if one was named.

        Raises:
          DatasetError: there are more of them than may be missing.
        """
        missing = self.missing()
        if self._unmatched is not None:
            lines = (f"{key}\n" for key in missing.to_pylist())
            write_text_atomically(self._unmatched, "".join(lines))
        notes = [f"{self._path}: {counted(self.num_repeated, 'key')} repeated"] if self.num_repeated else []
        if not len(missing):
            return notes
        named = ", ".join(map(repr, missing.slice(0, _NUM_NAMED).to_pylist()))
        more = f" and {len(missing) - _NUM_NAMED:,} more" if len(missing) > _NUM_NAMED else ""
        words = f"keys that no row has, {len(missing):,} of {len(self):,}: {named}{more}"
        if len(missing) > limit("--max-missing", self._max_missing, len(self)):
            listed = "list them with --unmatched FILE" if self._unmatched is None else f"see {self._unmatched}"
            raise DatasetError(
                f"{dataset.path}: {words}; more than --max-missing {self._max_missing}. Its keys are the source's, "
                f"for example {_first_key(dataset)!r}; allow the missing ones, or {listed}"
            )
        return [*notes, words]


def _first_key(dataset: EmbeddingDataset) -> str:
    return dataset.rows(0, 1, [KEY])[KEY][0].as_py() if dataset.num_rows else ""
