"""The tables of a dataset that are read together: their files, blocks of their columns, and what is fetched ahead."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.reading.alignment import check_alignment
from lit_precompute.schemas.reading.as_opened import AsOpened
from lit_precompute.schemas.reading.block_layout import BlockLayout
from lit_precompute.schemas.reading.fetching_ahead import FetchingAhead
from lit_precompute.schemas.reading.files_here import cache_bound
from lit_precompute.schemas.reading.key_index import index_name
from lit_precompute.schemas.reading.open_columns import OpenColumns
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import Folder, is_url
from lit_precompute.schemas.tables import FAILURES, KEY


class OpenTables:
    """Tables that are open; thread-safe.

    Attributes:
      columns: their columns.
      layout: where their blocks are.
    """

    def __init__(self, path: str, folder: Folder, as_opened: AsOpened, manifest: Manifest, names: Sequence[str]):
        """Opens tables.

        Args:
          path: of the dataset, for errors.
          folder: of the dataset.
          as_opened: what was there when the dataset was opened, before its manifest was read.
          manifest: of the dataset.
          names: of the tables.

        Raises:
          DatasetError: an unknown table, a file that is missing or of another size.
        """
        self._path, self._as_opened, self._manifest = path, as_opened, manifest
        self._locator = TableLocator(folder, manifest.shards, manifest.references)
        self.columns = OpenColumns(path, manifest, names)
        self.layout = BlockLayout(manifest.shards.num_rows, manifest.block_rows)
        self._readers = {name: self._open(name) for name in names}
        self._ahead = FetchingAhead(self._readers, cache_bound)

    def read_block(self, block: int, columns: Sequence[str] | None) -> RowBlock:
        """See `EmbeddingDataset.read_block`."""
        shard, within = self.layout.locate(block)
        wanted = self.columns.with_scales(columns)
        tables = self.columns.tables_of(wanted)
        for name in tables:
            self._ahead.note_read(name, shard)
        table_of = {column: self.columns.table_of(column) or tables[0] for column in wanted}
        # Of one table keys are of use only where they are asked for; of several they are compared.
        keys = [KEY] if len(tables) > 1 or not wanted else []
        batches = {
            name: self._readers[name].read(
                shard, within, [*keys, *(column for column, table in table_of.items() if table == name)]
            )
            for name in tables
        }
        start, stop = self.layout.span(block)
        check_alignment(self._path, batches, block, stop - start)
        found = {column: batches[table].column(column) for column, table in table_of.items()}
        fields = {column: self._readers[table].schema.field(column) for column, table in table_of.items()}
        return RowBlock.from_arrow(start, stop - start, found, fields)

    def fetch_ahead(self, blocks: Iterable[int], columns: Sequence[str] | None) -> None:
        """See `EmbeddingDataset.fetch_ahead`."""
        if tables := self._remote_tables(columns):
            self._ahead.want((name, self.layout.locate(block)[0]) for block in blocks for name in tables)

    def skip(self, blocks: Iterable[int], columns: Sequence[str] | None) -> None:
        """See `EmbeddingDataset.skip`."""
        tables = self._remote_tables(columns)
        self._ahead.note_skipped((name, self.layout.locate(block)[0]) for block in blocks for name in tables)

    def read_failures(self) -> pa.Table:
        """Returns all rows of the table of failures, which need not be open."""
        reader = self._open(FAILURES)
        try:
            shards = np.flatnonzero(self._manifest.shards.num_failures)
            pieces = [reader.read_shard(int(shard)) for shard in shards]
        finally:
            reader.close()
        return pa.concat_tables([reader.schema.empty_table(), *pieces])

    def key_index_name(self) -> str:
        """Returns the name of the index of the table that keys are read from."""
        table = self.columns.tables_of([])[0]
        return index_name(table, self._manifest.shards.files[table].sha256)

    def close(self) -> None:
        """Closes the files."""
        self._ahead.close()
        for reader in self._readers.values():
            reader.close()

    def _remote_tables(self, columns: Sequence[str] | None) -> list[str]:
        """Returns the tables of columns that are in a store."""
        wanted = self.columns.tables_of(self.columns.with_scales(columns))
        return [name for name in wanted if self._readers[name].is_remote]

    def _open(self, name: str) -> TableReader:
        table = self._manifest.table(name)
        files = self._locator.files(table)
        if not is_url(files.folder.path):  # in a store a missing file shows when it is read
            files.check_sizes()
        as_opened = self._as_opened if table.reference is None else AsOpened(files.folder)
        return TableReader(files.folder, table, files, as_opened, cached=True)
