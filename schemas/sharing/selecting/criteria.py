"""What rows are selected by, block by block: the contract, and criteria of places, of selections and of labels.

Promises: a criterion says of each row by itself whether it matches, whatever else is selected by.
"""

import abc
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.sharing.selection import Mask, Selection
from lit_precompute.schemas.storage import DatasetError

_NEAREST = 8  # how many of a dataset's labels are named where one is not found


class Criterion(abc.ABC):
    """Says which rows match.

    Attributes:
      name: what it is called, such as `label`.
      columns: what it reads of a row.
      sees_all: whether it is asked about every row, also those that other criteria have left out.
    """

    name: str
    columns: Sequence[str] = ()
    sees_all = False

    @abc.abstractmethod
    def matches(self, rows: RowBlock) -> Mask:
        """Returns which rows match, bool [num_rows]; a block of consecutive rows, unless it reads embeddings."""

    @abc.abstractmethod
    def made_by(self) -> Mapping[str, Any]:
        """Returns what a selection says of it, as JSON."""

    def check(self, dataset: EmbeddingDataset) -> None:
        """Raises DatasetError, before anything is read, if a dataset lacks what it needs."""
        for column in self.columns:
            if column not in dataset.columns:
                raise DatasetError(
                    f"{dataset.path}: selecting by {self.name} needs the column '{column}'; it has {dataset.columns}"
                )

    def finish(self, dataset: EmbeddingDataset) -> list[str]:
        """Returns what to say once all rows were asked about; raises DatasetError if what was asked for is absent."""
        del dataset
        return []


class RowRange(Criterion):
    """Rows by their numbers."""

    name = "rows"

    def __init__(self, start: int, stop: int):
        """Takes the range [start, stop)."""
        self.start, self.stop = start, stop

    def check(self, dataset: EmbeddingDataset) -> None:
        """See `Criterion.check`."""
        if not 0 <= self.start < self.stop <= dataset.num_rows:
            raise DatasetError(
                f"{dataset.path}: rows must be within [0, {dataset.num_rows}) and not empty, got "
                f"[{self.start}, {self.stop})"
            )

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        numbers = np.arange(rows.first_row, rows.first_row + rows.num_rows)
        return (self.start <= numbers) & (numbers < self.stop)

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"start": self.start, "stop": self.stop}


class OfSelections(Criterion):
    """Rows of all, of any or of none of some selections."""

    def __init__(self, name: str, selections: Mapping[str, Selection]):
        """Takes `all-of`, `any-of` or `none-of`, and the selections by their paths."""
        self.name, self._selections = name, selections

    def check(self, dataset: EmbeddingDataset) -> None:
        """See `Criterion.check`."""
        for path, selection in self._selections.items():
            selection.check(dataset.manifest, path)

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        masks = [each.mask(rows.first_row, rows.first_row + rows.num_rows) for each in self._selections.values()]
        if self.name == "all-of":
            return np.logical_and.reduce(masks)
        found = np.logical_or.reduce(masks)
        return ~found if self.name == "none-of" else found

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"selections": {path: each.digest for path, each in self._selections.items()}}


class Labels(Criterion):
    """Rows that have one of some labels, which are names or numbers as the dataset has them; 3 is also 3.0."""

    name = "label"
    columns = ("label",)

    def __init__(self, labels: Sequence[str]):
        """Takes the labels."""
        self._labels = list(labels)
        self._asked = {_plain(label): label for label in labels}
        # By the label as stored. Memory follows the dataset's distinct labels.
        self._plain: dict[str, str] = {}

    def matches(self, rows: RowBlock) -> Mask:
        """See `Criterion.matches`."""
        coded = rows["label"].dictionary_encode()
        there = coded.dictionary.to_pylist()
        self._plain.update((label, _plain(label)) for label in there if label not in self._plain)
        wanted = pa.array([self._plain[label] in self._asked for label in there], pa.bool_())
        return _to_mask(pc.call_function("take", [wanted, coded.indices]))

    def made_by(self) -> Mapping[str, Any]:
        """See `Criterion.made_by`."""
        return {"labels": self._labels}

    def finish(self, dataset: EmbeddingDataset) -> list[str]:
        """Says which labels no row has that was asked about."""
        del dataset
        there = {*self._plain.values()}
        absent = [label for plain, label in self._asked.items() if plain not in there]
        if not absent:
            return []
        some = ", ".join(map(repr, sorted(there)[:_NEAREST]))
        return [f"no row has the label {', '.join(map(repr, absent))}; there are {len(there):,}, such as {some}"]


def _plain(label: str) -> str:
    """Returns a label as it is compared: in NFC, without white space around it, `3.0` as `3`."""
    text = unicodedata.normalize("NFC", label).strip()
    whole, point, zeros = text.partition(".")
    return whole if point and zeros and not zeros.strip("0") and whole.lstrip("-").isdecimal() else text


def _to_mask(values: pa.BooleanArray) -> Mask:
    return values.to_numpy(zero_copy_only=False)
