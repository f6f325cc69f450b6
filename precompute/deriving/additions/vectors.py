"""Vectors of another dataset, whose rows are known by their keys: embeddings of a tower or view, or of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.precompute.deriving.additions.contents import stored_schema
from lit_precompute.precompute.deriving.matching import FILE, KEY, NUMBER
from lit_precompute.schemas import ColumnSchema, EmbeddingDataset, Manifest, Note, Reference, TableSchema, TowerCard
from lit_precompute.schemas.dataset_files import dataset_folder, read_attachments
from lit_precompute.schemas.manifest.parts import FileInfo
from lit_precompute.schemas.reading.table_files import TableLocator, place_of
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import DatasetError, absolute
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS, is_embeddings
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDING, TEXT_EMBEDDINGS, info_attachment
from lit_precompute.schemas.vectors import scale_column


class DatasetVectors:
    """See `Addition`. A table of vectors of another dataset, under a name of its own."""

    gathers = False
    needs_all = True

    def __init__(self, kind: str, name: str, path: str):
        """Opens the dataset.

        Args:
          kind: `embeddings` or `text-embeddings`.
          name: what the table is called after that.
          path: of the dataset.

        Raises:
          DatasetError: it cannot be opened, or has no such table.
        """
        self.path = path
        self._folder = dataset_folder(absolute(path, what="dataset", writing=False))
        self.manifest = Manifest.read(self._folder)
        self.origin = _find_table(kind, name, path, self.manifest)
        column = TEXT_EMBEDDING if kind == TEXT_EMBEDDINGS else EMBEDDING
        self.table = TableSchema(name=f"{kind}-{name}", columns=list(_renamed(self.origin, column)))
        self._locator = TableLocator(self._folder, self.manifest.shards, self.manifest.references)

    @property
    def is_of_images(self) -> bool:
        """Whether the table is `embeddings-NAME`, and so has the card of a tower."""
        return is_embeddings(self.table.name)

    @property
    def tower(self) -> TowerCard | None:
        """The card of what made the vectors; None for those of texts, of which no card is kept."""
        return self.manifest.towers.get(self.origin.name)

    def info(self) -> dict[str, bytes]:
        """Returns the description of text embeddings that were made here, by the name of the table's attachment."""
        found = {
            name: kept for name, kept in self.manifest.attachments.items() if name == info_attachment(self.origin.name)
        }
        return {info_attachment(self.table.name): data for data in read_attachments(self._folder, found).values()}

    @property
    def max_bytes(self) -> int:
        """See `Addition`."""
        return self.manifest.shards.table_bytes(self.origin.name)

    def described(self) -> dict[str, Any]:
        """See `Addition`."""
        found: dict[str, Any] = {"digest": self.manifest.digest, "table": self.origin.name, "path": self.path}
        if self.tower is None:
            found["made_by"] = dict(self.manifest.job)
        elif not self.is_of_images:
            found["made_by"] = self.tower.model_dump()
        return found

    def batches(self, progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """See `Addition`."""
        schema = pa.schema([KEY, FILE, NUMBER, *stored_schema(self.table)])
        files = self._locator.files(self.origin)
        reader = TableReader(files.folder, self.origin, files)
        num_rows = 0
        try:
            for shard in np.flatnonzero(self.manifest.shards.num_rows).tolist():
                for batch in reader.read_shard(shard).to_batches():
                    numbers = np.arange(num_rows, num_rows + len(batch))
                    places = [pa.array(np.zeros(len(batch), np.int32)), pa.array(numbers)]
                    yield pa.RecordBatch.from_arrays([batch.column(0), *places, *batch.columns[1:]], schema=schema)
                    num_rows += len(batch)
                    progress(num_rows)
                reader.forget(shard)
        finally:
            reader.close()

    def place(self, file: int, number: int) -> str:
        """See `Addition`."""
        return f"{self.path}, row {number}"

    def notes(self) -> Sequence[Note]:
        """See `Addition`."""
        return ()

    def reference(self, base: EmbeddingDataset) -> Reference | None:
        """Returns where the table's files are, if a dataset can refer to them: the same rows in the same blocks.

        A table has one name wherever it is referred to. Reads the keys of both datasets.
        """
        mine, its = self.manifest.shards, base.manifest.shards
        if self.origin.name != self.table.name or self.manifest.block_rows != base.manifest.block_rows:
            return None
        if not np.array_equal(mine.num_rows, its.num_rows):
            return None
        with EmbeddingDataset.open(self._folder.path, tables=[self.manifest.smallest_table]) as dataset:
            for one, two in zip(dataset.blocks(columns=["key"]), base.blocks(columns=["key"]), strict=True):
                if not one["key"].equals(two["key"]):
                    return None
        if self.origin.reference is None:
            return Reference(path=self._folder.path, digest=self.manifest.digest)
        reference = self.manifest.references[self.origin.reference]
        return Reference(path=place_of(self._folder, reference), digest=reference.digest)

    def file(self, shard: int) -> FileInfo | None:
        """Returns the file of a shard that a reference leads to."""
        file = self.manifest.shards.file(self.origin.name, shard)
        return None if file is None else file.info


def _find_table(kind: str, name: str, path: str, manifest: Manifest) -> TableSchema:
    """Returns the table of this name, or the only one that can be meant."""
    tables = {table.name: table for table in manifest.tables if table.aligned and table.holds_vectors}
    others = [each for each in tables if each.startswith(f"{kind}-")]
    if f"{kind}-{name}" in tables:
        return tables[f"{kind}-{name}"]
    if kind == EMBEDDINGS or not others:
        return tables[EMBEDDINGS]
    if len(others) == 1:
        return tables[others[0]]
    raise DatasetError(f"{path}: has no table '{kind}-{name}'; it has {', '.join(others)}: give one of these names")


def _renamed(table: TableSchema, name: str) -> Iterator[ColumnSchema]:
    """Yields the columns of a table, its vectors and their scales under another name."""
    (vectors,) = (column for column in table.columns if column.type == "vector")
    names = {vectors.name: name, scale_column(vectors.name): scale_column(name)}
    for column in table.columns:
        if column.name == table.columns[0].name or column.name in names:
            yield column.model_copy(update={"name": names.get(column.name, column.name)})
