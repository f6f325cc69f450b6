"""The base's texts, which stay before those of files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lit_precompute.precompute.deriving.additions.contents import LANGUAGE, TEXTS, language_of_each, stored_schema
from lit_precompute.precompute.deriving.matching import ROW
from lit_precompute.schemas import DatasetError, Manifest, TableSchema
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import Folder
from lit_precompute.schemas.tables import KEY

CAPTIONS = "captions"


class KeptTexts:
    """Reads the table `captions` of a dataset, shard by shard, in order."""

    def __init__(self, folder: Folder, manifest: Manifest):
        """Takes the dataset.

        Raises:
          DatasetError: it has no such table.
        """
        self._table = manifest.table(CAPTIONS)
        self._folder = folder
        files = TableLocator(folder, manifest.shards, manifest.references).files(self._table)
        self._reader = TableReader(files.folder, self._table, files)

    @property
    def named(self) -> list[str]:
        """Names of the columns beside the texts and their languages."""
        return [column.name for column in self._table.columns if column.name not in (KEY, TEXTS, LANGUAGE)]

    @property
    def has_languages(self) -> bool:
        """Whether the texts have languages."""
        return any(column.name == LANGUAGE for column in self._table.columns)

    def before(self, table: TableSchema, shard: int, keys: pa.Array, first_row: int, found: pa.Table) -> pa.Table:
        """Returns the texts of a shard, and behind those of each row what was found for it.

        Args:
          table: the table that they become.
          shard: the shard.
          keys: of its rows; not empty.
          first_row: the number of its first row.
          found: as `contents.put_together` takes it.

        Raises:
          DatasetError: the table has other keys.
        """
        kept = self._reader.read_shard(shard)
        self._reader.forget(shard)
        if pa.concat_arrays(kept[KEY].chunks) != keys:
            raise DatasetError(
                f"{self._folder.path}: shard {shard}: the keys of '{CAPTIONS}' are not the other tables'"
            )
        columns = [pa.array(np.arange(first_row, first_row + len(keys)))]
        for field in stored_schema(table):
            if field.name == LANGUAGE:
                columns.append(_languages(kept, field))
            elif field.name in kept.column_names:
                columns.append(kept[field.name])
            else:
                columns.append(pa.array([[]] * len(keys), field.type))
        both = pa.concat_tables([pa.Table.from_arrays(columns, schema=found.schema), found])
        return both.take(pa.array(np.argsort(both[ROW.name].to_numpy(), kind="stable")))

    def close(self) -> None:
        """Closes the files."""
        self._reader.close()


def _languages(kept: pa.Table, field: pa.Field) -> pa.Array:
    """Returns the language of each of a shard's texts."""
    lengths = pc.call_function("list_value_length", [kept[TEXTS]]).to_pylist()
    told = kept[LANGUAGE].to_pylist() if LANGUAGE in kept.column_names else [[]] * len(lengths)
    return pa.array([language_of_each(*each) for each in zip(told, lengths, strict=True)], field.type)
