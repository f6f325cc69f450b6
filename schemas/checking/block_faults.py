"""What is wrong with the values of one block: vectors that are not finite or out of range, probes that differ."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Probe
from lit_precompute.schemas.probes import decode_vector
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError
from lit_precompute.schemas.tables import EMBEDDING, KEY, TableSchema
from lit_precompute.schemas.vectors import LARGEST, SMALLEST_SCALE, StoredVectors, store


def block_faults(
    manifest: Manifest, table: TableSchema, batch: pa.RecordBatch, first_row: int, where: str
) -> Iterator[str]:
    """Yields a message, which begins with `where`, for each wrong value of a table's block."""
    names = [field.name for field in batch.schema if pa.types.is_fixed_size_list(field.type)]
    columns = {name: batch.column(name) for name in batch.schema.names}
    block = RowBlock.from_arrow(first_row, batch.num_rows, columns, {name: batch.field(name) for name in names})
    keys = batch.column(KEY)
    for name in names:
        stored = block.stored(name)
        for row in np.flatnonzero(~_are_finite(stored)):
            yield f"{where}: row '{keys[int(row)].as_py()}': {name} must be finite, got NaN or infinity"
        if stored.scales is not None:
            for row in np.flatnonzero(~_are_within(stored)):
                yield (
                    f"{where}: row '{keys[int(row)].as_py()}': {name} must be within -{LARGEST}..{LARGEST} with a "
                    f"scale of at least {SMALLEST_SCALE:.4g}, got a row with the scale {stored.scales[row]:.4g}"
                )
        if table.name in manifest.towers and name == EMBEDDING:
            for probe in manifest.probes:
                if first_row <= probe.row < first_row + batch.num_rows:
                    place = probe.row - first_row
                    yield from _probe_faults(
                        manifest, table, probe, keys[place].as_py(), stored.row_bytes(place), where
                    )


def _probe_faults(
    manifest: Manifest, table: TableSchema, probe: Probe, key: str, found: bytes, where: str
) -> Iterator[str]:
    """Yields the faults of a probe: storing its vector must give the bytes found in its row."""
    if probe.key != key:
        yield f"{where}: row {probe.row} must have the manifest's probe key '{probe.key}', got '{key}'"
    try:
        expected = _as_stored(manifest, table, probe)
    except (DatasetError, binascii.Error) as error:
        yield f"{MANIFEST_NAME}: {error}"
        return
    if expected != found:
        yield f"{where}: row '{key}': row {probe.row} must have the manifest's probe vector, got a different one"


def _as_stored(manifest: Manifest, table: TableSchema, probe: Probe) -> bytes:
    if manifest.format_version == 1:
        return base64.b64decode(probe.vectors[table.name])
    column = next(column for column in table.columns if column.name == EMBEDDING)
    assert column.vector_type is not None
    vector = decode_vector(probe, manifest.towers[table.name].output_width, table.name)
    return store(vector[None], column.vector_type).row_bytes(0)


def _are_finite(stored: StoredVectors) -> np.ndarray[Any, Any]:
    """Returns bool [n]: whether all values of a row are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.isfinite(stored.to_float32()).all(axis=1))


def _are_within(stored: StoredVectors) -> np.ndarray[Any, Any]:
    """Returns bool [n]: whether a row's int8 numbers and scale are in the range that writers produce."""
    assert stored.scales is not None
    return (stored.numbers >= -LARGEST).all(axis=1) & (stored.scales >= SMALLEST_SCALE)
