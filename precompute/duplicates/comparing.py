"""Compares slabs: consecutive rows of a dataset that are read once, with all rows of other datasets and earlier ones.

Promises: what is found for a slab depends on nothing but the datasets, the threshold and the slab; memory holds a slab,
one tile of the others, and as many of the others' tiles as fit a budget, so that they need not be read for every slab.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int64

from lit_precompute.precompute.duplicates.findings import Against, Nearest, SlabFindings, Within
from lit_precompute.precompute.duplicates.tiles import Largest, Tile, largest, similar_pairs
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.tables import EMBEDDING

# Numbers of a slab: 128 MiB as float32, and as much again on the device.
_SLAB_NUMBERS = 1 << 25
# A tile's cosines are 16 MiB on a CPU, near its caches; accelerators want larger products.
_TILE_ROWS = {"cpu": 2048}
_TILE_ROWS_OF_ACCELERATORS = 8192
# What is kept of the others in memory, on the host and on the device together.
_MEMORY_BYTES = 2 << 30
_NO_PAIRS = np.zeros(0, np.int64)


def slab_rows_of(width: int) -> int:
    """Returns how many rows of embeddings of a width make a slab."""
    return max(1, _SLAB_NUMBERS // (width * _TILE_ROWS_OF_ACCELERATORS)) * _TILE_ROWS_OF_ACCELERATORS


def count_pairs(num_rows: int, num_others: int, *, slab_rows: int, within: bool) -> list[int]:
    """Returns how many pairs of rows the comparison of each slab covers."""
    starts = range(0, num_rows, slab_rows)
    spans = [(start, min(start + slab_rows, num_rows)) for start in starts]
    return [
        (stop - start) * num_others + (within and (stop - start) * (start + stop - 1) // 2) for start, stop in spans
    ]


class Comparer:
    """A dataset, and what its rows are compared with. Keeps tiles between slabs."""

    def __init__(
        self,
        dataset: EmbeddingDataset,
        others: Sequence[EmbeddingDataset],
        *,
        threshold: float,
        within: bool,
        slab_rows: int,
        tile_rows: int | None = None,
        memory_bytes: int = _MEMORY_BYTES,
    ):
        """Takes what to compare.

        Args:
          dataset: whose rows are removed.
          others: the evaluation datasets.
          threshold: the least cosine of near-duplicates, above 0.
          within: whether the dataset's rows are also compared with its earlier ones.
          slab_rows: rows of a slab.
          tile_rows: rows of a tile, on which no result depends; None chooses by the device.
          memory_bytes: for tiles that are kept.
        """
        self._dataset, self._others = dataset, others
        self._threshold, self._within, self._slab_rows = threshold, within, slab_rows
        chosen = _TILE_ROWS.get(jax.default_backend(), _TILE_ROWS_OF_ACCELERATORS)
        self._tile_rows = min(tile_rows or chosen, slab_rows)
        self._free_bytes = memory_bytes
        self._kept: dict[tuple[int, int], Tile] = {}

    def compare(self, slab: int, tell: Callable[[int], None] = lambda num_pairs: None) -> SlabFindings:
        """Returns what is found for a slab; `tell` is called with numbers of pairs that are done."""
        start, stop = self._span(slab)
        own = [self._read(self._dataset, *span) for span in self._tile_spans(start, stop)]
        zeros = np.concatenate([~tile.vectors.any(axis=1) for tile in own])
        against = [self._compare_with(own, other, number, tell) for number, other in enumerate(self._others)]
        return SlabFindings(
            num_zeros=int(zeros.sum()),
            against=tuple(against),
            within=self._compare_earlier(own, zeros, tell) if self._within else None,
        )

    def tiles(self, other: int | None, before: int | None = None) -> Iterator[Tile]:
        """Yields the tiles of an evaluation dataset, or with None of the dataset; those that begin before a row."""
        dataset = self._dataset if other is None else self._others[other]
        number = -1 if other is None else other
        for first, stop in self._tile_spans(0, dataset.num_rows):
            if before is not None and first >= before:
                return
            tile = self._kept.get((number, first)) or self._read(dataset, first, stop)
            num_bytes = tile.vectors.nbytes + tile.unit.nbytes
            if (number, first) not in self._kept and num_bytes <= self._free_bytes:
                self._kept[number, first] = tile
                self._free_bytes -= num_bytes
            yield tile

    def vectors(self, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Returns some rows of the dataset."""
        return self._dataset.take(rows, [EMBEDDING]).vectors()

    def _span(self, slab: int) -> tuple[int, int]:
        start = slab * self._slab_rows
        return start, min(start + self._slab_rows, self._dataset.num_rows)

    def _tile_spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yields the rows of tiles within [start, stop), of which none crosses the end of a slab."""
        for slab in range(start, stop, self._slab_rows):
            end = min(slab + self._slab_rows, stop)
            for first in range(slab, end, self._tile_rows):
                yield first, min(first + self._tile_rows, end)

    def _read(self, dataset: EmbeddingDataset, first: int, stop: int) -> Tile:
        return Tile.of(first, dataset.rows(first, stop, [EMBEDDING]).vectors(), self._tile_rows)

    def _compare_with(
        self, own: Sequence[Tile], other: EmbeddingDataset, number: int, tell: Callable[[int], None]
    ) -> Against:
        removed, matched = np.zeros(_end(own) - own[0].first_row, bool), np.zeros(other.num_rows, bool)
        nearest = np.full(len(removed), -1, np.float32)
        pairs = ((rows, others) for others in self.tiles(number) for rows in own)
        for rows, others, found in _ahead(pairs):
            place = rows.first_row - own[0].first_row
            _raise_to(nearest[place : place + len(rows)], found)
            places, other_places = similar_pairs(rows, others, found, self._threshold)
            removed[place + places] = True
            matched[others.first_row + other_places] = True
            tell(len(rows) * len(others))
        return Against(
            removed=own[0].first_row + np.flatnonzero(removed),
            matched=np.flatnonzero(matched),
            nearest=Nearest.of(np.arange(own[0].first_row, _end(own)), nearest),
        )

    def _compare_earlier(
        self, own: Sequence[Tile], zeros: Bool[np.ndarray, " n"], tell: Callable[[int], None]
    ) -> Within:
        start = own[0].first_row
        rows_found, others_found, first_copies = [_NO_PAIRS], [_NO_PAIRS], _first_copies(own)
        is_copy = (first_copies < np.arange(len(first_copies))) & ~zeros
        nearest = np.full(len(is_copy), -1, np.float32)
        earlier = ((rows, others) for others in self.tiles(None, before=start) for rows in own)
        inside = ((rows, others) for number, rows in enumerate(own) for others in own[: number + 1])
        for rows, others, found in (pair for pairs in (earlier, inside) for pair in _ahead(pairs)):
            place = rows.first_row - start
            here = slice(place, place + len(rows))
            _raise_to(nearest[here], found)
            places, other_places = similar_pairs(rows, others, found, self._threshold, left_out=is_copy[here])
            rows_found.append(rows.first_row + places)
            others_found.append(others.first_row + other_places)
            tell(len(rows) * (len(rows) - 1) // 2 if rows is others else len(rows) * len(others))
        copies, later, other = np.flatnonzero(is_copy), np.concatenate(rows_found), np.concatenate(others_found)
        order = np.lexsort((other, later))
        return Within(
            copies=start + copies,
            originals=start + first_copies[copies],
            rows=later[order],
            others=other[order],
            nearest=Nearest.of(np.arange(start, _end(own)), nearest),
        )


def _ahead(pairs: Iterable[tuple[Tile, Tile]]) -> Iterator[tuple[Tile, Tile, Largest]]:
    """Yields pairs of tiles with their largest cosines; the device works on the next pair meanwhile."""
    started: tuple[Tile, Tile, Largest] | None = None
    for rows, others in pairs:
        following = rows, others, largest(rows, others)
        if started is not None:
            yield started
        started = following
    if started is not None:
        yield started


def _raise_to(nearest: Float32[np.ndarray, " n"], found: Largest) -> None:
    np.maximum(nearest, np.asarray(found.of_rows), out=nearest)


def _first_copies(own: Sequence[Tile]) -> np.ndarray:
    """Returns for each row of a slab the place of the first row with the same bytes."""
    seen: dict[bytes, int] = {}
    hashes = (hashlib.sha256(row).digest() for tile in own for row in np.ascontiguousarray(tile.vectors))
    return np.array([seen.setdefault(each, place) for place, each in enumerate(hashes)], np.int64)


def _end(own: Sequence[Tile]) -> int:
    return own[-1].first_row + len(own[-1])
