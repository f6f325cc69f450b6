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
from jaxtyping import Bool, Float32

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
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDING, TextEmbeddingsInfo, info_attachment
from lit_precompute.schemas.texts import are_texts
from lit_precompute.schemas.vectors import scale_column
from lit_precompute.towers.text.encoder import BATCH_SIZE, TextEncoder

CAPTIONS = "captions"
# What the notes of the table count.
_KINDS = {
    "more": "rows with more texts than the one that is embedded (number {number})",
    "missing": "rows without such a text, which have zeros",
    "cut": "texts of more than {max_tokens} tokens, which are cut",
}


class _Counts(NamedTuple):
    """How many rows there are of a kind, and the first one's key."""

    num_rows: int = 0
    first: str = ""

    def plus(self, keys: Sequence[str], holds: Sequence[bool] | np.ndarray) -> _Counts:
        """Returns the count with that of further rows."""
        return self.of_both(
            _Counts(int(sum(holds)), next((key for key, has in zip(keys, holds, strict=True) if has), ""))
        )

    def of_both(self, later: _Counts) -> _Counts:
        """Returns the count of both."""
        return _Counts(self.num_rows + later.num_rows, self.first or later.first)


class _Shard(NamedTuple):
    """What the note of a finished shard says: its file, if it has rows, and its counts by `_KINDS`."""

    file: FileInfo | None
    counts: Mapping[str, _Counts]


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
        self._counts = dict.fromkeys(_KINDS, _Counts())

    def described(self) -> dict[str, Any]:
        """Returns what the table is made of, as a manifest records it."""
        return {
            "text_tower": {"name": self._encoder.card.name, "fingerprint": self._encoder.card.fingerprint},
            "field": self._options.field,
            "number": self._options.number,
            "vector_type": self._options.vector_type,
        }

    def attachment(self) -> tuple[str, bytes]:
        """Returns the name of the attachment that describes the table, and its content."""
        info = TextEmbeddingsInfo(tower=self._encoder.card, field=self._options.field, number=self._options.number)
        content = json.dumps(info.model_dump(), indent=1, sort_keys=True) + "\n"
        return info_attachment(self.table.name), content.encode()

    def notes(self) -> list[Note]:
        """Returns what is not in the table, once it is written."""
        names = {"number": self._options.number, "max_tokens": self._encoder.card.max_tokens}
        return [
            Note(what=f"{self.table.name}: {_KINDS[kind].format(**names)}", count=found.num_rows, first=found.first)
            for kind, found in self._counts.items()
            if found.num_rows
        ]

    def write(self, output: Folder, progress: Callable[[int, int], None]) -> list[dict[str, FileInfo]]:
        """Writes the shards that are not there yet; returns the files of all by table.

        Args:
          output: the folder of the derived dataset.
          progress: called with the rows done, and all rows.

        Raises:
          DatasetError: captions are damaged, no row has such a text, or the stored type cannot hold an embedding.
          OSError: a file cannot be read or written.
        """
        total, done = self._manifest.num_rows, 0
        files: list[dict[str, FileInfo]] = []
        with EmbeddingDataset.open(self._path, tables=[CAPTIONS]) as dataset:
            for shard, num_rows in enumerate(self._manifest.shards.num_rows.tolist()):
                note = f"{self._notes_folder}/{shard:05d}.json"
                if output.exists(note):
                    finished = _read_note(output.read(note))
                else:
                    rows = (done, done + num_rows)
                    finished = self._write_shard(output, shard, dataset, rows, lambda row: progress(row, total))
                    output.write(note, _note(finished))
                done += num_rows
                progress(done, total)
                files.append({} if finished.file is None else {self.table.name: finished.file})
                self._counts = {kind: mine.of_both(finished.counts[kind]) for kind, mine in self._counts.items()}
        if total and self._counts["missing"].num_rows == total:
            raise DatasetError(
                f"{self._path}: no row has a text number {self._options.number} in {self._options.field}, so there is "
                "nothing to embed; give a smaller --text-number, or another --text-field"
            )
        return files

    def remove(self, output: Folder) -> None:
        """Removes all shards that are there, and their notes."""
        output.remove_folder(self._notes_folder)
        output.remove_folder(self.table.name)

    @property
    def _notes_folder(self) -> str:
        return f"{WORK_FOLDER}/{self.table.name}"

    def _write_shard(
        self,
        output: Folder,
        shard: int,
        dataset: EmbeddingDataset,
        rows: tuple[int, int],
        progress: Callable[[int], None],
    ) -> _Shard:
        counts, block_rows = dict.fromkeys(_KINDS, _Counts()), self._manifest.block_rows
        with ShardWriter(output, shard=shard, tables=[self.table], block_rows=block_rows) as writer:
            for start in range(rows[0], rows[1], block_rows):
                block = dataset.rows(start, min(start + block_rows, rows[1]), [KEY, self._options.field])
                keys = block[KEY].to_pylist()
                texts, has_more = _texts_of(block[self._options.field], self._options.number)
                vectors, is_cut = self._embed(texts, lambda row, start=start: progress(start + row))
                found = {"more": has_more, "missing": [text is None for text in texts], "cut": is_cut}
                counts = {kind: counts[kind].plus(keys, holds) for kind, holds in found.items()}
                writer.append(self.table.name, {KEY: keys, TEXT_EMBEDDING: vectors})
                progress(start + block.num_rows)
            return _Shard(writer.finish().files.get(self.table.name), counts)

    def _embed(
        self, texts: Sequence[str | None], progress: Callable[[int], None]
    ) -> tuple[Float32[np.ndarray, "n width"], Bool[np.ndarray, " n"]]:
        """Returns the embeddings, and which texts were cut; while the device computes, the next batch is tokenised."""
        found = np.zeros((len(texts), self._encoder.card.output_width), np.float32)
        is_cut = np.zeros(len(texts), bool)
        places = np.array([place for place, text in enumerate(texts) if text is not None], np.int64)
        waiting: list[tuple[np.ndarray, Any]] = []
        for start in range(0, len(places), BATCH_SIZE):
            here = places[start : start + BATCH_SIZE]
            shown = [text for text in (texts[place] for place in here) if text is not None]
            tokens, is_cut[here] = self._encoder.tokens_and_cuts(shown)
            waiting.append((here, self._encoder.start(tokens)))
            if len(waiting) > 1:
                done, vectors = waiting.pop(0)
                found[done] = np.asarray(vectors)
                progress(int(done[-1]))
        for done, vectors in waiting:
            found[done] = np.asarray(vectors)
        return found, is_cut


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
    return chosen, np.array([len(row) > 1 and len(row) >= number for row in texts], bool)


def _with_visibility(lists: pa.ListArray) -> Iterator[tuple[list[str], list[bool]]]:
    """Yields each row's texts, and which of them are not blank."""
    shows = are_texts(lists.flatten()).to_pylist()
    start = 0
    for row in lists.to_pylist():
        yield row, shows[start : start + len(row)]
        start += len(row)


def _note(shard: _Shard) -> bytes:
    file = None if shard.file is None else shard.file.model_dump()
    return (json.dumps({"file": file, "counts": shard.counts}) + "\n").encode()


def _read_note(content: bytes) -> _Shard:
    fields: Mapping[str, Any] = json.loads(content)
    file = None if fields["file"] is None else FileInfo.model_validate(fields["file"])
    return _Shard(file, {kind: _Counts(*counts) for kind, counts in fields["counts"].items()})
