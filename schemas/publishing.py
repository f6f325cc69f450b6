"""Publishing a dataset: the manifest, last, by rename."""

import base64
import importlib.metadata
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.errors import DatasetError
from schemas.files import MANIFEST_NAME, write_text_atomically
from schemas.manifest import Ledger, Manifest, Probe, ShardInfo, SourceInfo, TowerCard, digest
from schemas.table_reader import TableReader
from schemas.tables import KEY, TableSchema
from schemas.vectors import to_numpy

NUM_PROBES = 64
_LIBRARIES = ("lit-precompute", "array-record", "pyarrow", "numpy")


def publish_manifest(
    directory: str | os.PathLike[str],
    *,
    shards: Sequence[ShardInfo],
    tables: Sequence[TableSchema],
    tower: TowerCard,
    source: SourceInfo,
    job: Mapping[str, Any] | None = None,
    block_rows: int = 1024,
    order: str = "source",
    libraries: Sequence[str] = (),
) -> Manifest:
    """Writes manifest.json over finished shards and returns it.

    Args:
      directory: the dataset; every file that `shards` names stands in it.
      shards: all shards, in any order.
      tables: schemas of the tables, `embeddings` among them.
      tower: the tower that made the vectors.
      source: what was embedded.
      job: options of the producer, as JSON.
      block_rows: rows of every block but a shard's last.
      order: `source` or `shuffled`.
      libraries: more packages whose versions to note.

    Raises:
      DatasetError: a shard's file is missing or of another size, counts do not add up, or widths differ.
    """
    shards = sorted(shards, key=lambda shard: shard.shard)
    _check_width(tables, tower)
    written = sum(shard.num_rows for shard in shards)
    failed = sum(shard.num_failures for shard in shards)
    content: dict[str, Any] = {
        "format_version": 1,
        "tower": tower.model_dump(),
        "source": source.model_dump(),
        "job": dict(job or {}),
        "order": order,
        "block_rows": block_rows,
        "tables": [table.model_dump() for table in tables],
        "shards": [shard.model_dump() for shard in shards],
        "ledger": Ledger(rows_read=written + failed, rows_written=written, rows_failed=failed).model_dump(),
        "probes": [probe.model_dump() for probe in _draw_probes(pathlib.Path(directory), shards, tables, block_rows)],
        "libraries": {name: importlib.metadata.version(name) for name in sorted({*_LIBRARIES, *libraries})},
    }
    manifest = Manifest.model_validate({**content, "digest": digest(content)})
    path = pathlib.Path(directory) / MANIFEST_NAME
    write_text_atomically(path, manifest.to_text())
    return Manifest.read(directory)


def _check_width(tables: Sequence[TableSchema], tower: TowerCard) -> None:
    widths = [column.width for table in tables if table.name == "embeddings" for column in table.columns[1:]]
    if widths != [tower.output_width]:
        raise DatasetError(
            f"table 'embeddings' must hold one vector column of width {tower.output_width}, got {widths}"
        )


def _draw_probes(
    directory: pathlib.Path, shards: Sequence[ShardInfo], tables: Sequence[TableSchema], block_rows: int
) -> list[Probe]:
    """Returns evenly spaced rows; every shard's `embeddings` file is checked to be there on the way."""
    table = next(table for table in tables if table.name == "embeddings")
    for other in tables:  # opening checks that each file is there, and its size
        TableReader(directory, other, [shard.files[other.name] for shard in shards])
    reader = TableReader(directory, table, [shard.files[table.name] for shard in shards])
    total = sum(shard.num_rows for shard in shards)
    count = min(NUM_PROBES, total)
    probes: list[Probe] = []
    first_row = 0
    wanted = [place * total // count for place in range(count)]
    for number, shard in enumerate(shards):
        for row in (row for row in wanted if first_row <= row < first_row + shard.num_rows):
            block, within = divmod(row - first_row, block_rows)
            batch = reader.read(number, block)
            vector = to_numpy(batch.column("embedding"), reader.schema.field("embedding"))[within]
            text = base64.b64encode(vector.tobytes()).decode()
            probes.append(Probe(row=row, key=batch.column(KEY)[within].as_py(), vector=text))
        first_row += shard.num_rows
    reader.close()
    return probes
