"""A table of text embeddings, made shard by shard of a dataset's captions.

Promises: a shard's bytes depend on its texts, the tower and the options alone. A finished shard leaves a note, so that
a stopped run goes on with the next one. Memory is bounded by a block of captions. A row without the text has zeros, and
is counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from lit_precompute.precompute.deriving.embedding_texts.options import EmbedTextsOptions
from lit_precompute.schemas import (
    ColumnSchema,
    DatasetError,
    EmbeddingDataset,
    FileInfo,
    Manifest,
    Note,
    ShardWriter,
    TableSchema,
)
from lit_precompute.schemas.storage import WORK_FOLDER, Folder
from lit_precompute.schemas.tables import KEY
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDING, card_attachment
from lit_precompute.schemas.texts import are_texts
from lit_precompute.schemas.vectors import scale_column
from lit_precompute.towers.text.encoder import BATCH_SIZE, TextEncoder

CAPTIONS = "captions"


class _Counts(NamedTuple):
    """Rows of a shard whose other texts are not in the table, and rows without the text; the first key of each."""

    more: int = 0
    first_more: str = ""
    missing: int = 0
    first_missing: str = ""

    def plus(self, keys: Sequence[str], more: np.ndarray, missing: np.ndarray) -> _Counts:
        """Returns the counts with those of further rows."""
        first_more = self.first_more or next((key for key, has in zip(keys, more, strict=True) if has), "")
        first_missing = self.first_missing or next((key for key, has in zip(keys, missing, strict=True) if has), "")
        return _Counts(self.more + int(more.sum()), first_more, self.missing + int(missing.sum()), first_missing)


class _Shard(NamedTuple):
    """What the note of a finished shard says: its file, if it has rows, and its counts."""

    file: FileInfo | None
    counts: _Counts


class TextEmbeddingsTable:
    """The table, and its shards in a folder."""

    def __init__(self, folder: Folder, manifest: Manifest, options: EmbedTextsOptions, encoder: TextEncoder):
        """Takes the dataset with the texts.

        Raises:
          DatasetError: it has no captions, or no column of that name in them.
        """
        self._path, self._manifest = folder.path, manifest
        self._options, self._encoder = options, encoder
        names = [column.name for column in manifest.table(CAPTIONS).columns if column.type == "list<string>"]
        if options.field not in names:
            raise DatasetError(f"{folder.path}: --text-field must be one of {', '.join(names)}, got {options.field!r}")
        self.table = _schema(options.table(), encoder.card.output_width, options)
        self._counts = _Counts()

    def described(self) -> dict[str, Any]:
        """Returns what the table is made of, as a manifest records it."""
        return {
            "text_tower": {"name": self._encoder.card.name, "fingerprint": self._encoder.card.fingerprint},
            "field": self._options.field,
            "number": self._options.number,
            "vector_type": self._options.vector_type,
        }

    def attachment(self) -> tuple[str, bytes]:
        """Returns the name of the attachment that is the tower's card, and its content."""
        content = json.dumps(self._encoder.card.model_dump(), indent=1, sort_keys=True) + "\n"
        return card_attachment(self.table.name), content.encode()

    def notes(self) -> list[Note]:
        """Returns what is not in the table, once it is written."""
        number, counts = self._options.number, self._counts
        found: list[Note] = []
        if counts.more:
            found.append(
                Note(
                    what=f"{self.table.name}: rows with more texts than the one that is embedded (number {number})",
                    count=counts.more,
                    first=counts.first_more,
                )
            )
        if counts.missing:
            found.append(
                Note(
                    what=f"{self.table.name}: rows without such a text, which have zeros",
                    count=counts.missing,
                    first=counts.first_missing,
                )
            )
        return found

    def write(self, output: Folder, progress: Callable[[int, int], None]) -> list[dict[str, FileInfo]]:
        """Writes the shards that are not there yet; returns the files of all by table.

        Args:
          output: the folder of the derived dataset.
          progress: called with the rows done, and all rows.

        Raises:
          DatasetError: captions are damaged, or the stored type cannot hold an embedding.
          OSError: a file cannot be read or written.
        """
        total, done = self._manifest.num_rows, 0
        files: list[dict[str, FileInfo]] = []
        with EmbeddingDataset.open(self._path, tables=[CAPTIONS]) as dataset:
            for shard, num_rows in enumerate(self._manifest.shards.num_rows.tolist()):
                note = f"{WORK_FOLDER}/{self.table.name}/{shard:05d}.json"
                if output.exists(note):
                    finished = _read_note(output.read(note))
                else:
                    rows = (done, done + num_rows)
                    finished = self._write_shard(output, shard, dataset, rows, lambda row: progress(row, total))
                    output.write(note, _note(finished))
                done += num_rows
                progress(done, total)
                files.append({} if finished.file is None else {self.table.name: finished.file})
                self._add(finished.counts)
        return files

    def _add(self, counts: _Counts) -> None:
        mine = self._counts
        self._counts = _Counts(
            mine.more + counts.more,
            mine.first_more or counts.first_more,
            mine.missing + counts.missing,
            mine.first_missing or counts.first_missing,
        )

    def _write_shard(
        self,
        output: Folder,
        shard: int,
        dataset: EmbeddingDataset,
        rows: tuple[int, int],
        progress: Callable[[int], None],
    ) -> _Shard:
        counts, block_rows = _Counts(), self._manifest.block_rows
        with ShardWriter(output, shard=shard, tables=[self.table], block_rows=block_rows) as writer:
            for start in range(rows[0], rows[1], block_rows):
                block = dataset.rows(start, min(start + block_rows, rows[1]), [KEY, self._options.field])
                keys = block[KEY].to_pylist()
                texts, has_more = _texts_of(block[self._options.field], self._options.number)
                is_missing = np.array([text is None for text in texts])
                counts = counts.plus(keys, has_more, is_missing)
                writer.append(self.table.name, {KEY: keys, TEXT_EMBEDDING: self._embed(texts)})
                progress(start + block.num_rows)
            return _Shard(writer.finish().files.get(self.table.name), counts)

    def _embed(self, texts: Sequence[str | None]) -> Float32[np.ndarray, "n width"]:
        """Returns the embeddings; while the device computes a batch, the next one is tokenised."""
        found = np.zeros((len(texts), self._encoder.card.output_width), np.float32)
        places = np.array([place for place, text in enumerate(texts) if text is not None], np.int64)
        waiting: list[tuple[np.ndarray, Any]] = []
        for start in range(0, len(places), BATCH_SIZE):
            here = places[start : start + BATCH_SIZE]
            tokens = self._encoder.tokens([text for text in (texts[place] for place in here) if text is not None])
            waiting.append((here, self._encoder.start(tokens)))
            if len(waiting) > 1:
                done, vectors = waiting.pop(0)
                found[done] = np.asarray(vectors)
        for done, vectors in waiting:
            found[done] = np.asarray(vectors)
        return found


def _schema(name: str, width: int, options: EmbedTextsOptions) -> TableSchema:
    columns = [
        ColumnSchema(name=KEY, type="string"),
        ColumnSchema(name=TEXT_EMBEDDING, type="vector", width=width, vector_type=options.vector_type),
    ]
    if options.vector_type == "int8":
        columns.append(ColumnSchema(name=scale_column(TEXT_EMBEDDING), type="scale"))
    return TableSchema(name=name, columns=columns)


def _texts_of(lists: pa.ListArray, number: int) -> tuple[list[str | None], np.ndarray]:
    """Returns each row's text of this number among those that are not blank, and whether it has others."""
    texts = [
        [text for text, is_text in zip(row, shows, strict=True) if is_text] for row, shows in _with_visibility(lists)
    ]
    chosen = [row[number - 1] if len(row) >= number else None for row in texts]
    return chosen, np.array([len(row) > 1 for row in texts])


def _with_visibility(lists: pa.ListArray) -> Iterator[tuple[list[str], list[bool]]]:
    """Yields each row's texts, and which of them are not blank."""
    shows = are_texts(lists.flatten()).to_pylist()
    start = 0
    for row in lists.to_pylist():
        yield row, shows[start : start + len(row)]
        start += len(row)


def _note(shard: _Shard) -> bytes:
    file = None if shard.file is None else shard.file.model_dump()
    return (json.dumps({"file": file, "counts": shard.counts._asdict()}) + "\n").encode()


def _read_note(content: bytes) -> _Shard:
    fields: Mapping[str, Any] = json.loads(content)
    file = None if fields["file"] is None else FileInfo.model_validate(fields["file"])
    return _Shard(file, _Counts(**fields["counts"]))
