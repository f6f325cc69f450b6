"""Files of texts or labels, whose rows are known by their keys."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from lit_precompute.precompute.deriving.additions.contents import LANGUAGE, Content, stored_schema
from lit_precompute.precompute.deriving.matching import FILE, KEY, NUMBER
from lit_precompute.precompute.sources.keyed import KeyedRow
from lit_precompute.precompute.sources.opening import make_keyed_source
from lit_precompute.precompute.sources.source import FileLook, ListedFile, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import Note, SourceFile, TableSchema
from lit_precompute.schemas.storage import open_file

_BATCH_ROWS = 4096
_CHUNK_BYTES = 1 << 20
# How much larger rows are than their files, at most as a rule: compressed text, and columns of Parquet.
_GROWTH = 6


class KeyedFiles:
    """See `Addition`. Texts or labels of the files of one source, by key."""

    needs_all = False

    def __init__(self, spec: SourceSpec, content: Content, *, gathers: bool, language_column: str | None = None):
        """Lists and hashes the files.

        Args:
          spec: where they are, and the names of their columns.
          content: what is taken from their rows.
          gathers: whether several rows of a key become one.
          language_column: the column of the texts' language, if there is one.

        Raises:
          SourceError: there are none, or of another format.
        """
        if language_column is not None:
            named = (*spec.columns.named, f"{LANGUAGE}={language_column}")
            spec = dataclasses.replace(spec, columns=dataclasses.replace(spec.columns, named=named))
        self._content, self.gathers = content, gathers
        self._source = make_keyed_source(spec)
        self._listed = self._source.files()
        self._files = [hashed(file) for file in self._listed]
        self._notes: collections.Counter[str] = collections.Counter()
        self._firsts: dict[str, str] = {}

    @property
    def table(self) -> TableSchema:
        """See `Addition`."""
        return self._content.table

    @property
    def max_bytes(self) -> int:
        """See `Addition`."""
        return sum(_GROWTH * file.bytes for file in self._files)

    def described(self) -> dict[str, Any]:
        """See `Addition`."""
        options = dict(self._source.options) | ({"gather": True} if self.gathers else {})
        return {"path": self._source.path, "options": options, "files": [file.model_dump() for file in self._files]}

    def batches(self, progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """See `Addition`."""
        schema = pa.schema([KEY, FILE, NUMBER, *stored_schema(self.table)])
        looks: list[FileLook] = []
        num_rows = 0
        for number, file in enumerate(self._listed):
            for rows in self._pieces(file, number, looks):
                columns = {
                    KEY.name: [row.key for row in rows],
                    FILE.name: [number] * len(rows),
                    NUMBER.name: [row.number for row in rows],
                    **self._content.values(rows),
                }
                yield pa.RecordBatch.from_pydict(columns, schema=schema)
                num_rows += len(rows)
                progress(num_rows)
        self._source.survey(looks)

    def place(self, file: int, number: int) -> str:
        """See `Addition`."""
        return self._source.place(self._listed[file], number)

    def notes(self) -> list[Note]:
        """See `Addition`."""
        return [Note(what=what, count=count, first=self._firsts[what]) for what, count in self._notes.items()]

    def _pieces(self, file: ListedFile, number: int, looks: list[FileLook]) -> Iterator[list[KeyedRow]]:
        """Yields the rows of a file, many at a time; appends what is known of it once it is read."""
        rows: list[KeyedRow] = []
        reading = self._source.keyed_rows(file)
        while True:
            try:
                row = next(reading)
            except StopIteration as end:
                look: FileLook = end.value
                break
            for note in row.notes:
                self._notes[note] += 1
                self._firsts.setdefault(note, row.key)
            rows.append(row)
            if len(rows) == _BATCH_ROWS:
                yield rows
                rows = []
        if look.sha256 not in (None, self._files[number].sha256):
            raise SourceError(f"{file.path}: changed while it was read; run the command again once it is finished")
        looks.append(look)
        if rows:
            yield rows


def hashed(file: ListedFile) -> SourceFile:
    """Returns a file's path, size and SHA-256."""
    digest, num_bytes = hashlib.sha256(), 0
    with open_file(file.path) as stream:
        while data := stream.read(_CHUNK_BYTES):
            digest.update(data)
            num_bytes += len(data)
    return SourceFile(path=file.path, bytes=num_bytes, sha256=digest.hexdigest())
