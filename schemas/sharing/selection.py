"""A selection: a file that names a subset of a dataset's rows, without copying them.

Promises: a selection is used only with rows that it was made of; it takes at most one bit for each row of the dataset,
in memory and on disk, less where runs of rows are alike (zstd); the same selection gives the same bytes; pyarrow alone
opens it (docs/format.md).

A dataset is recognised by its digest, or by that of its table `embeddings`: a derived dataset has the rows of its base.
"""

import dataclasses
import hashlib
import json
import os
import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pydantic

from lit_precompute.schemas import blocks
from lit_precompute.schemas.json_files import JsonFileError, faults_in_words, parse_json_object
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Count, Sha256
from lit_precompute.schemas.storage import HOW_TO_MEND, DatasetError, absolute, open_file, open_folder
from lit_precompute.schemas.tables import EMBEDDINGS, StrictModel, json_digest

SUFFIX = ".selection"
_FIRST_BYTES = b"\xff" * 4  # of every Arrow IPC stream
_HEADER = b"selection"  # key of the header in the metadata of the file's schema
_BITS = pa.field("bits", pa.binary(), nullable=False)
_ROWS_PER_VALUE = 1 << 20

Bits = np.ndarray[Any, np.dtype[np.uint8]]
Rows = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class SelectedFrom(StrictModel):
    """A dataset as a selection names it: its digest, that of its table `embeddings`, and its number of rows."""

    digest: Sha256
    embeddings: Sha256
    num_rows: Count

    @classmethod
    def of(cls, manifest: Manifest) -> "SelectedFrom":
        """Returns how a selection names a dataset."""
        return cls(digest=manifest.digest, embeddings=manifest.table_digest(EMBEDDINGS), num_rows=manifest.num_rows)


class Header(StrictModel):
    """What a file says of itself; `digest` is of the canonical JSON of all else."""

    format_version: Literal[1]
    dataset: SelectedFrom
    num_selected: Count
    bits_sha256: Sha256
    made_by: dict[str, Any]
    digest: Sha256


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Some rows of a dataset, in its order.

    Attributes:
      dataset: the dataset.
      bits: uint8 [ceil(num_rows / 8)]: row r is selected if bit r % 8 of byte r // 8 is set, the lowest bit first.
      made_by: how it was made, as JSON.
    """

    dataset: SelectedFrom
    bits: Bits
    made_by: Mapping[str, Any]

    @classmethod
    def of_rows(cls, manifest: Manifest, rows: Rows | Mask, *, made_by: Mapping[str, Any]) -> "Selection":
        """Returns the selection of some rows.

        Args:
          manifest: of the dataset.
          rows: ascending row numbers, int64 [n], or a mask of all rows, bool [num_rows].
          made_by: how they were found, as JSON.

        Raises:
          DatasetError: numbers do not ascend or are outside [0, num_rows), or a mask has another length.
        """
        dataset = SelectedFrom.of(manifest)
        if rows.dtype != np.bool_:
            bits = _bits_of(rows.astype(np.int64), dataset.num_rows)
            return cls(dataset=dataset, bits=bits, made_by=made_by)
        if rows.shape != (dataset.num_rows,):
            raise DatasetError(f"selection: the mask must have {dataset.num_rows} rows, got {rows.shape}")
        return cls(dataset=dataset, bits=np.packbits(rows, bitorder="little"), made_by=made_by)

    @property
    def num_selected(self) -> int:
        """How many rows are selected."""
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64))

    @property
    def digest(self) -> str:
        """SHA-256 of what is selected, of what, and how it was made."""
        return self.header().digest

    def check(self, manifest: Manifest, where: str = "selection") -> None:
        """Raises DatasetError, with a message that begins with `where`, unless a dataset has the rows meant."""
        if manifest.digest == self.dataset.digest:
            return
        if (found := manifest.table_digest(EMBEDDINGS)) != self.dataset.embeddings:
            raise DatasetError(
                f"{where}: was made of the rows of another dataset: their table '{EMBEDDINGS}' has the digest "
                f"{self.dataset.embeddings}, this dataset's has {found}; make the selection again of this dataset"
            )

    def mask(self, start: int, stop: int) -> Mask:
        """Returns which of the rows [start, stop) are selected, bool [stop - start].

        Raises:
          IndexError: not 0 <= start <= stop <= num_rows.
        """
        if not 0 <= start <= stop <= self.dataset.num_rows:
            raise IndexError(f"rows must be within [0, {self.dataset.num_rows}), got [{start}, {stop})")
        first = start // 8
        unpacked = np.unpackbits(self.bits[first : -(-stop // 8)], bitorder="little")
        return unpacked[start - 8 * first : stop - 8 * first].astype(np.bool_)

    def rows(self, start: int, stop: int) -> Rows:
        """Returns the numbers of the selected rows within [start, stop), ascending.

        Raises:
          IndexError: as `mask`.
        """
        return start + np.flatnonzero(self.mask(start, stop))

    def __and__(self, other: "Selection") -> "Selection":
        """Returns the rows that both have."""
        return self._with(other, "intersection", np.bitwise_and)

    def __or__(self, other: "Selection") -> "Selection":
        """Returns the rows that either has."""
        return self._with(other, "union", np.bitwise_or)

    def __sub__(self, other: "Selection") -> "Selection":
        """Returns the rows that this has and the other has not."""
        return self._with(other, "difference", lambda own, others: own & ~others)

    def __invert__(self) -> "Selection":
        """Returns all other rows of the dataset."""
        bits = ~self.bits
        if unused := 8 * len(bits) - self.dataset.num_rows:
            bits[-1] &= 0xFF >> unused
        return dataclasses.replace(self, bits=bits, made_by={"complement": dict(self.made_by)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the selection to a local path or a URL; the file appears whole or not at all."""
        step = _ROWS_PER_VALUE // 8
        values = [self.bits[start : start + step].tobytes() for start in range(0, len(self.bits), step)]
        header = json.dumps(self.header().model_dump(), sort_keys=True, ensure_ascii=False)
        schema = pa.schema([_BITS], metadata={_HEADER: header})
        batch = pa.RecordBatch.from_arrays([pa.array(values, type=pa.binary())], schema=schema)
        folder, name = posixpath.split(absolute(path, what="selection", writing=True))
        open_folder(folder).write(name, blocks.encode(batch, compress=True))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Selection":
        """Reads a selection, at a local path or a URL.

        Raises:
          FileNotFoundError: there is no such file.
          DatasetError: it is no selection, is of a newer version, or was changed.
        """
        where = absolute(path, what="selection", writing=False)
        no_selection = f"{where}: not a selection; give a file that `lit-data select` has written"
        with open_file(where) as file:
            data = file.read(len(_FIRST_BYTES))
            if data != _FIRST_BYTES:  # anything else may be of any size
                raise DatasetError(no_selection)
            data += file.read()
        batch = blocks.first_batch(data, where)
        metadata = batch.schema.metadata or {}
        if batch.schema.remove_metadata() != pa.schema([_BITS]) or _HEADER not in metadata:
            raise DatasetError(no_selection)
        header = _read_header(metadata[_HEADER], where)
        blocks.check_values(batch, where)
        bits = np.frombuffer(b"".join(batch.column(0).to_pylist()), np.uint8)
        selection = cls(dataset=header.dataset, bits=bits, made_by=header.made_by)
        _check_bits(selection, header, where)
        return selection

    def _with(self, other: "Selection", operation: str, combine: Callable[[Bits, Bits], Bits]) -> "Selection":
        if self.dataset.embeddings != other.dataset.embeddings:
            raise DatasetError(
                f"selection: the {operation} must be of selections of one dataset; the digests of their tables "
                f"'{EMBEDDINGS}' are {self.dataset.embeddings} and {other.dataset.embeddings}"
            )
        made_by = {operation: [dict(self.made_by), dict(other.made_by)]}
        return dataclasses.replace(self, bits=combine(self.bits, other.bits), made_by=made_by)

    def header(self) -> Header:
        """Returns what its file says of it."""
        content = {
            "format_version": 1,
            "dataset": self.dataset.model_dump(),
            "num_selected": self.num_selected,
            "bits_sha256": hashlib.sha256(self.bits.tobytes()).hexdigest(),
            "made_by": dict(self.made_by),
        }
        return Header(**content, digest=json_digest(content))  # pyright: ignore[reportArgumentType]


def _bits_of(rows: Rows, num_rows: int) -> Bits:
    """Returns the bits of ascending row numbers."""
    if rows.size and (rows[0] < 0 or rows[-1] >= num_rows or (np.diff(rows) <= 0).any()):
        raise DatasetError(f"selection: row numbers must ascend and be in [0, {num_rows}), got {rows.tolist()[:8]}")
    bits = np.zeros(-(-num_rows // 8), np.uint8)
    np.bitwise_or.at(bits, rows // 8, np.left_shift(1, rows % 8).astype(np.uint8))
    return bits


def _read_header(data: bytes, where: str) -> Header:
    try:
        content = parse_json_object(data, where, HOW_TO_MEND)
    except JsonFileError as error:
        raise DatasetError(str(error)) from error
    version = content.get("format_version")
    if type(version) is int and version > 1:
        raise DatasetError(f"{where}: format_version is {version}, this library reads 1; update lit-precompute")
    try:
        header = Header.model_validate(content)
    except pydantic.ValidationError as error:
        raise DatasetError(f"{where}: {faults_in_words(error)}") from error
    expected = json_digest({key: value for key, value in content.items() if key != "digest"})
    if header.digest != expected:
        raise DatasetError(f"{where}: digest must be {expected}, got {header.digest}; the file was changed")
    return header


def _check_bits(selection: Selection, header: Header, where: str) -> None:
    """Raises DatasetError unless the bits are those that a header describes."""
    num_rows, num_bytes = header.dataset.num_rows, -(-header.dataset.num_rows // 8)
    if len(selection.bits) != num_bytes:
        raise DatasetError(f"{where}: must have {num_bytes} bytes of bits, got {len(selection.bits)}; {HOW_TO_MEND}")
    if num_rows % 8 and selection.bits[-1] >> num_rows % 8:
        raise DatasetError(f"{where}: rows from {num_rows} on, which there are not, must not be selected")
    found = selection.header()
    if (found.num_selected, found.bits_sha256) != (header.num_selected, header.bits_sha256):
        raise DatasetError(f"{where}: the bits were changed after the file was written; {HOW_TO_MEND}")
