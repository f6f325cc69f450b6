"""Reading rows that have key, vectors and texts side by side, so that nothing can be out of line."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from lit_precompute.precompute.exchange.files.list_vectors import describe_vectors, read_vectors
from lit_precompute.precompute.exchange.files.tables import TableFile
from lit_precompute.precompute.exchange.files.words import WordColumns, WordNames, columns_left_out, same_tables
from lit_precompute.precompute.exchange.found import look_at_all, source_files
from lit_precompute.precompute.exchange.rows import (
    TEXT_EMBEDDINGS,
    ImportPlan,
    Rows,
    Unit,
    VectorTable,
    cut_units,
)
from lit_precompute.precompute.sources.columnar.columns import Column
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import FoundFile
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS

IMAGE_COLUMNS = (EMBEDDING, "emb", "image_embedding", "img_emb", "embeddings", "vector")
TEXT_COLUMNS = ("text_embedding", "text_emb")
KEY_COLUMNS = ("key", "id", "uid", "image_path")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnOptions:
    """Names of columns."""

    key_column: str = ""
    """Column of unique names; without one, `key`, `id`, `uid` or `image_path`."""
    vector_column: str = ""
    """Column of the embeddings; without one, `embedding`, `emb`, `image_embedding`, `img_emb` or `vector`."""
    text_column: str = ""
    """Column of the text or texts; without one, `texts`, `captions`, `caption` or `text`."""
    label_column: str = ""
    """Column of the class; without one, `label`."""
    number_keys: bool = False
    """Name rows by their file and number in it, such as part-0/17, whatever the columns say."""

    @property
    def words(self) -> WordNames:
        """The names of the columns of words."""
        names = WordNames(key=() if self.number_keys else (self.key_column,) if self.key_column else KEY_COLUMNS)
        given = {"texts": self.text_column, "label": self.label_column}
        return dataclasses.replace(names, **{field: (name,) for field, name in given.items() if name})

    @property
    def given(self) -> list[tuple[str, str]]:
        """The columns that the user named, or "", with their flags."""
        return [
            (self.key_column, "--key-column"),
            (self.vector_column, "--vector-column"),
            (self.text_column, "--text-column"),
            (self.label_column, "--label-column"),
        ]


class _Look(NamedTuple):
    """What a file has: rows, vectors by table without those of which it has none, and the columns that these are in."""

    num_rows: int
    vectors: Mapping[str, VectorTable]
    columns: Collection[str]


class ColumnReader:
    """Plans and reads files of columns; a layout finds them."""

    def __init__(self, layout: str, path: str, options: ColumnOptions, rows_per_shard: int):
        """Takes the layout's name, and how its rows are read."""
        self._layout, self._path, self._options = layout, path, options
        self._rows_per_shard = rows_per_shard

    def plan(self, found: Mapping[str, FoundFile]) -> ImportPlan:
        """Returns the plan of some files, in order.

        Raises:
          SourceError: a file is damaged, or lacks a column that others have.
        """
        paths = list(found)
        tables = same_tables(paths, self._options.words, self._options.given)
        looks = look_at_all(self._look, paths)
        vectors = self._common(dict(zip(paths, looks, strict=True)))
        units: list[Unit] = []
        for path, look in zip(paths, looks, strict=True):
            units += cut_units(path, [path], look.num_rows, self._rows_per_shard)
        return ImportPlan(
            layout=self._layout,
            path=self._path,
            options=dataclasses.asdict(self._options),
            files=source_files([found]),
            vectors=vectors,
            tables=tables,
            units=units,
            notes=columns_left_out(paths, self._options.words, looks[0].columns),
        )

    def read(self, unit: Unit, widths: Mapping[str, int]) -> Iterator[Rows]:
        """Yields a unit's rows; `widths` by table.

        Raises:
          SourceError: the file is damaged.
        """
        assert unit.stop is not None
        with TableFile(unit.files[0]) as file:
            words = WordColumns.find(file, self._options.words)
            columns = self._columns(file)
            done = 0
            for batch in file.batches([*columns.values(), *words.columns], unit.start, unit.stop):
                found = words.read(batch, unit, done)
                faults = dict(found.faults)
                vectors = {}
                for table, column in columns.items():
                    vectors[table], without = read_vectors(batch, column, widths[table])
                    faults = {**without, **faults}
                yield Rows(keys=found.keys, vectors=vectors, columns=found.columns, faults=faults, notes=found.notes)
                done += batch.num_rows

    def _columns(self, file: TableFile) -> dict[str, Column]:
        """Returns the columns of vectors by table."""
        given = self._options.vector_column
        columns = {EMBEDDINGS: file.require((given,) if given else IMAGE_COLUMNS, "--vector-column")}
        if (texts := file.find(TEXT_COLUMNS)) is not None:
            columns[TEXT_EMBEDDINGS] = texts
        for name in file.schema.names:
            if name.startswith(f"{EMBEDDING}-") and (column := file.find([name])) is not None:
                columns[f"{EMBEDDINGS}-{name.removeprefix(f'{EMBEDDING}-')}"] = column
        return columns

    def _look(self, path: str) -> _Look:
        with TableFile(path) as file:
            columns = self._columns(file)
            found = {table: describe_vectors(file, column, table) for table, column in columns.items()}
            vectors = {table: about for table, about in found.items() if about is not None}
            return _Look(file.num_rows, vectors, [column.top for column in columns.values()])

    def _common(self, looks: Mapping[str, _Look]) -> list[VectorTable]:
        """Returns the tables of vectors that the files have in common.

        Raises:
          SourceError: widths differ, or no row has a vector.
        """
        common: dict[str, tuple[str, VectorTable]] = {}
        for path, look in looks.items():
            for table, about in look.vectors.items():
                first_path, first = common.setdefault(table, (path, about))
                if about.width != first.width:
                    raise SourceError(
                        f"{path}: vectors of {table} have {about.width} numbers, those of {first_path} {first.width}; "
                        "all must be of one tower"
                    )
                if about.vector_type == "float32":
                    common[table] = (first_path, about)
            lacking = sorted(set(common) - set(look.vectors))
            if lacking and look.num_rows and look.vectors:
                raise SourceError(f"{path}: has no vectors of {lacking[0]}, which {common[lacking[0]][0]} has")
        if EMBEDDINGS not in common:
            raise SourceError(f"{self._path}: no row has a vector")
        return [about for _, about in sorted(common.values(), key=lambda each: each[1].name != EMBEDDINGS)]
