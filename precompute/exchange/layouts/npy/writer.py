"""Writing arrays of vectors and files of keys."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.layouts.npy.source import KEYS, TEXTS
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.precompute.exchange.written import NpyWriter
from lit_precompute.schemas import DatasetError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """NumPy's arrays of vectors with a file of keys: embeddings.npy, keys.txt; one of each unless --rows-per-file."""


@dataclasses.dataclass(frozen=True)
class NpyLayoutWriter:
    """See `LayoutWriter`."""

    reader: ExportReader
    options: ExportOptions

    @property
    def holds(self) -> Sequence[str]:
        """See `LayoutWriter`."""
        return list(self._names)

    @property
    def _names(self) -> dict[str, str]:
        """The names of the files of tables."""
        texts = self.reader.texts_table
        return {table: TEXTS if table == texts else table for table in self.reader.vectors}

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """See `LayoutWriter`."""
        suffix = f"_{part.number:05d}" if part.num_parts > 1 else ""
        with contextlib.ExitStack() as opened:
            vectors: dict[str, NpyWriter] = {}
            for table, name in self._names.items():
                about = self.reader.vectors[table]
                path = files.path(f"{name}{suffix}.npy")
                vectors[table] = opened.enter_context(NpyWriter(path, part.num_rows, about.width, about.type))
            keys = opened.enter_context(files.path(f"{KEYS}{suffix}.txt").open("w", encoding="utf-8", newline="\n"))
            for rows in blocks:
                for table, writer in vectors.items():
                    writer.append(rows.vectors[table])
                for key in rows.keys:
                    _check_key(key)
                    keys.write(f"{key}\n")

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """See `LayoutWriter`."""
        return {}


def _check_key(key: str) -> None:
    if "\n" in key or key.endswith("\r"):
        raise DatasetError(f"key {key!r}: has a line break, which a file of one key a line cannot hold; export Parquet")
