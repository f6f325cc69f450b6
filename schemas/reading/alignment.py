"""Whether tables that are read together have the same rows."""

from collections.abc import Mapping

import pyarrow as pa

from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import KEY


def check_alignment(path: str, batches: Mapping[str, pa.RecordBatch], block: int, num_rows: int) -> None:
    """Raises DatasetError unless a block's tables, of the dataset at a path, have so many rows and the same keys.

    A table that is read alone needs no keys.
    """
    (first, batch), *others = batches.items()
    if batch.num_rows != num_rows:
        raise DatasetError(f"{path}: table '{first}', block {block} must have {num_rows} rows, got {batch.num_rows}")
    for name, other in others:
        if not other.column(KEY).equals(batch.column(KEY)):
            raise DatasetError(
                f"{path}: tables '{first}' and '{name}' have different keys in block {block}: "
                "they have different rows; rewrite the wrong one"
            )
