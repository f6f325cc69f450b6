"""What an export gives a layout: a dataset's rows, block by block, with vectors in a type that other programs know.

Promises: tables that are read side by side are checked to have the same keys; memory is bounded by a block.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest, RowBlock, TableSchema
from lit_precompute.schemas.storage import Folder, file_sha256, unique_name
from lit_precompute.schemas.tables import EMBEDDINGS, KEY, is_embeddings

ExportType = Literal["float16", "float32"]
_TEXTS = "text-embeddings-"


class Part(NamedTuple):
    """Rows [start, stop) of the dataset, which become the files of a number."""

    number: int
    num_parts: int
    start: int
    stop: int


class Exported(NamedTuple):
    """A vector table as it is exported: its width, its stored type, and the type that it becomes."""

    width: int
    stored: str
    type: ExportType


@dataclasses.dataclass(frozen=True)
class ExportRows:
    """Consecutive rows.

    Attributes:
      keys: their names.
      vectors: [n, D], by table.
      texts: the lists of texts, by name, if the dataset has captions.
      labels: "" for none; None if the dataset has no labels.
    """

    keys: Sequence[str]
    vectors: Mapping[str, np.ndarray[Any, Any]]
    texts: Mapping[str, Sequence[Sequence[str]]]
    labels: Sequence[str] | None


class ExportReader:
    """The tables of a dataset that can be exported; use as a context manager.

    Attributes:
      manifest: the dataset's.
      vectors: tables of vectors: `embeddings` or the one that the user named, other embeddings, and one of texts.
      text_names: names of the lists of texts; none without captions.
      has_labels: whether there are labels.
      tables: names of all aligned tables, also of those that no layout knows.
    """

    def __init__(self, path: str, *, table: str = EMBEDDINGS, vector_type: ExportType | None = None):
        """Opens a dataset.

        Args:
          path: a path or URL.
          table: the embeddings that are the layout's only ones, or its first.
          vector_type: type of all vectors; None for float16 where they are stored so, else float32.

        Raises:
          DatasetError: it is no dataset, or has no such table of embeddings.
        """
        self.path, self._opened = path, contextlib.ExitStack()
        self.manifest = Manifest.read(path)
        tables = {each.name: each for each in self.manifest.tables if each.aligned}
        if table not in tables or not is_embeddings(table):
            known = [name for name in tables if is_embeddings(name)]
            raise DatasetError(f"{path}: no table of embeddings {table!r}; it has {known}; --table names one")
        names = [table, *(name for name in tables if is_embeddings(name) and name != table)]
        names += [name for name in tables if name.startswith(_TEXTS)][:1]
        self._columns = {name: _vector_column(tables[name]) for name in names}
        self.vectors = {name: _as_exported(tables[name], vector_type) for name in names}
        self.text_names = [column.name for column in tables["captions"].columns[1:]] if "captions" in tables else []
        self.has_labels = "labels" in tables
        self.tables = list(tables)
        self._datasets = {name: self._open([name]) for name in names}
        self._words = self._open(self.word_tables) if self.word_tables else None

    @property
    def word_tables(self) -> list[str]:
        """The tables of texts and labels that there are."""
        return [name for name in ("captions", "labels") if name in self.tables]

    @property
    def texts_table(self) -> str | None:
        """The table of the texts' embeddings; the dataset's first, if it has several."""
        return next((name for name in self.vectors if name.startswith(_TEXTS)), None)

    def blocks(self, part: Part) -> Iterator[ExportRows]:
        """Yields the rows of a part.

        Raises:
          DatasetError: damaged bytes, tables whose keys differ, or a value that float16 cannot hold.
        """
        for start in range(part.start, part.stop, self.manifest.block_rows):
            stop = min(start + self.manifest.block_rows, part.stop)
            yield self._read(start, stop)

    def _read(self, start: int, stop: int) -> ExportRows:
        keys: Any = None
        vectors: dict[str, np.ndarray[Any, Any]] = {}
        for name, dataset in self._datasets.items():
            block = dataset.rows(start, stop)
            keys = self._same(keys, block, name, start)
            vectors[name] = self._convert(block, name)
        texts: dict[str, Any] = {}
        labels = None
        if self._words is not None:
            block = self._words.rows(start, stop)
            keys = self._same(keys, block, "captions", start)
            texts = {name: block[name].to_pylist() for name in self.text_names}
            labels = block["label"].to_pylist() if self.has_labels else None
        return ExportRows(keys.to_pylist(), vectors, texts, labels)

    def _same(self, keys: Any, block: RowBlock, table: str, start: int) -> Any:
        if keys is not None and not keys.equals(block[KEY]):
            raise DatasetError(f"{self.path}: table '{table}' has other keys from row {start} on; verify the dataset")
        return block[KEY]

    def _convert(self, block: RowBlock, table: str) -> np.ndarray[Any, Any]:
        column, kind = self._columns[table], np.dtype(self.vectors[table].type)
        stored = block[column]
        if stored.dtype == kind:
            return stored
        values = block.vectors(column)
        with np.errstate(over="ignore"):
            converted = values.astype(kind, copy=False)
        if kind == np.float16 and not np.isfinite(converted).all():
            row = int(np.argmin(np.isfinite(converted).all(axis=1)))
            raise DatasetError(
                f"{self.path}: row '{block[KEY][row]}' of '{table}' has a number too large for float16; leave out "
                "--dtype"
            )
        return converted

    def _open(self, tables: Sequence[str]) -> EmbeddingDataset:
        return self._opened.enter_context(EmbeddingDataset.open(self.path, tables=tables))

    def __enter__(self) -> ExportReader:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the files."""
        self._opened.close()


class NewFiles:
    """Files of a part: written on this machine, then given their names in the output, each whole."""

    def __init__(self, folder: Folder):
        """Takes the output."""
        self._folder, self._written = folder, dict[str, pathlib.Path]()

    def path(self, name: str) -> pathlib.Path:
        """Returns where to write a file of a name in the output."""
        assert name not in self._written, f"{name} is written twice"
        return self._written.setdefault(name, self._folder.scratch() / unique_name(name.replace("/", "-")))

    def publish(self) -> dict[str, tuple[int, str]]:
        """Gives the files their names, in the order in which they were begun; returns sizes and SHA-256 by name."""
        found: dict[str, tuple[int, str]] = {}
        for name, path in self._written.items():
            found[name] = (path.stat().st_size, file_sha256(path))
            self._folder.upload(path, name)
        return found

    def discard(self) -> None:
        """Removes what was not published."""
        for path in self._written.values():
            path.unlink(missing_ok=True)


class LayoutWriter(Protocol):
    """Writes rows in a layout."""

    @property
    def holds(self) -> Sequence[str]:
        """Names of the tables that it writes; the others are left out, which is said."""
        ...

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """Writes the files of a part."""
        ...

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """Returns small files that are written after all others, by name."""
        ...


def _vector_column(table: TableSchema) -> str:
    return next(column.name for column in table.columns if column.type == "vector")


def _as_exported(table: TableSchema, wanted: ExportType | None) -> Exported:
    column = next(column for column in table.columns if column.type == "vector")
    assert column.width is not None
    assert column.vector_type is not None
    kind: ExportType = wanted or ("float16" if column.vector_type == "float16" else "float32")
    return Exported(column.width, column.vector_type, kind)
