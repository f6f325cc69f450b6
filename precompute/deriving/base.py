"""The dataset that another one is derived from: its keys, and how its tables are referred to."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from lit_precompute.precompute.deriving.matching import DatasetKeys
from lit_precompute.schemas import EmbeddingDataset, Manifest, Reference, TableSchema
from lit_precompute.schemas.reading.table_files import TableLocator, place_of
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import Folder
from lit_precompute.schemas.tables import FAILURES, KEY


def read_keys(base: Folder, manifest: Manifest, keys: DatasetKeys, progress: Callable[[int], None]) -> None:
    """Adds the keys of all rows, and of what could not be embedded, by one pass over the smallest table.

    Args:
      base: the dataset.
      manifest: its manifest.
      keys: where they are added.
      progress: called with the rows so far.
    """
    with EmbeddingDataset.open(base.path, tables=[manifest.smallest_table]) as dataset:
        for block in dataset.blocks(columns=[KEY]):
            keys.add(block.first_row, block[KEY])
            progress(block.first_row + block.num_rows)
    for failed in _failed_keys(base, manifest):
        keys.add_failed(failed)


def _failed_keys(base: Folder, manifest: Manifest) -> Iterator[pa.StringArray]:
    """Yields the keys of `failures`, shard by shard."""
    table = next((table for table in manifest.tables if table.name == FAILURES), None)
    if table is None:
        return
    files = TableLocator(base, manifest.shards, manifest.references).files(table)
    reader = TableReader(files.folder, table, files)
    try:
        for shard in np.flatnonzero(manifest.shards.num_failures).tolist():
            yield from reader.read_shard(shard)[KEY].chunks
            reader.forget(shard)
    finally:
        reader.close()


def refer(
    output: Folder, base: Folder, manifest: Manifest, left_out: Sequence[str]
) -> tuple[list[TableSchema], list[Reference]]:
    """Returns a dataset's tables as another one refers to them, and to what; never to a reference, but where it leads.

    Args:
      output: of the dataset that refers.
      base: of the dataset.
      manifest: its manifest.
      left_out: tables that are not referred to.
    """
    references: list[Reference] = []
    tables: list[TableSchema] = []
    for table in manifest.tables:
        if table.name in left_out:
            continue
        path, digest = base.path, manifest.digest
        if table.reference is not None:
            reference = manifest.references[table.reference]
            path, digest = place_of(base, reference), reference.digest
        reference = Reference(path=path_from(output.path, path), digest=digest)
        if reference not in references:
            references.append(reference)
        tables.append(table.model_copy(update={"reference": references.index(reference)}))
    return tables, references


def path_from(output: str, path: str) -> str:
    """Returns the path by which a dataset refers to one at `path`.

    It is relative where that is in the folder that the output is in, or below: both may then be moved together.
    """
    folder = output.rpartition("/")[0]
    if not path.startswith(f"{folder}/") or path.startswith(f"{output}/"):
        return path
    return posixpath.join("..", path.removeprefix(f"{folder}/"))
