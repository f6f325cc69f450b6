"""The columns of tables that are read together: which table each of them is in."""

from collections.abc import Sequence

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import KEY
from lit_precompute.schemas.vectors import scale_column


def tables_to_open(
    path: str, manifest: Manifest, tables: Sequence[str] | None, embeddings: str | None = None
) -> list[str]:
    """Returns the names of the tables to open: those asked for, or all aligned ones.

    Args:
      path: the dataset's, for errors.
      manifest: its manifest.
      tables: what is asked for; None: all aligned tables.
      embeddings: the only table of embeddings among them; None: any.

    Raises:
      DatasetError: `embeddings` is not a table of embeddings.
    """
    names = [table.name for table in manifest.tables if table.aligned] if tables is None else list(tables)
    if embeddings is None:
        return names
    if embeddings not in manifest.towers:
        raise DatasetError(
            f"{path}: has no table of embeddings '{embeddings}'; it has {', '.join(sorted(manifest.towers))}"
        )
    return [embeddings, *(name for name in names if name not in manifest.towers)]


class OpenColumns:
    """The columns of some aligned tables; where two have one of the same name, it is the first table's."""

    def __init__(self, path: str, manifest: Manifest, tables: Sequence[str]):
        """Takes the dataset's path, for errors, its manifest, and the names of the tables.

        Raises:
          DatasetError: there is no such table, or its rows are not the dataset's.
        """
        self._path, self._tables = path, tables
        self._columns = {name: manifest.table(name).columns for name in tables}
        for name in tables:
            if not manifest.table(name).aligned:
                raise DatasetError(f"{path}: rows of table '{name}' are not the dataset's rows; read it by itself")
        self._table_of = {
            column.name: name for name in reversed(tables) for column in self._columns[name] if column.name != KEY
        }
        self._scales = {
            (name, column.name)
            for name, columns in self._columns.items()
            for column in columns
            if column.type == "scale" and self._table_of[column.name] == name
        }

    @property
    def names(self) -> list[str]:
        """All of them, the key first."""
        return [KEY, *sorted(self._table_of)]

    def table_of(self, column: str) -> str | None:
        """Returns the table that a column is read from; None for the key, which all have, and for an unknown one."""
        return self._table_of.get(column)

    def tables_of(self, columns: Sequence[str]) -> list[str]:
        """Returns the tables that some columns are read from, at least one.

        Raises:
          DatasetError: an unknown column.
        """
        for column in columns:
            if column != KEY and column not in self._table_of:
                raise DatasetError(f"{self._path}: unknown column '{column}'; the opened tables have {self.names}")
        needed = {self._table_of[column] for column in columns if column != KEY}
        return [name for name in self._tables if name in needed] or list(self._tables[-1:])

    def with_scales(self, columns: Sequence[str] | None) -> list[str]:
        """Returns the columns (None: all), int8 vectors followed by their scales: neither is of use alone."""
        names: list[str] = []
        for column in self.names if columns is None else columns:
            scale = scale_column(column)
            # Another table may have vectors of the same name: their scales are not these vectors'.
            names += [column, scale] if (self._table_of.get(column), scale) in self._scales else [column]
        return list(dict.fromkeys(names))
