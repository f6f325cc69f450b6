"""A writer that any producer can use: rows in, a finished dataset out.

Promises: nothing but `_work` and unfinished shards stand in the directory until `close` publishes the manifest; the
dataset's bytes depend on the rows and options alone. It does not resume: after a kill one starts anew.
"""

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from lit_precompute.schemas.manifest import Manifest, SourceInfo, TowerCard
from lit_precompute.schemas.probes import ProbeSampler
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError
from lit_precompute.schemas.tables import captions_table, embeddings_table, failures_table, labels_table
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.schemas.writing.publishing import publish_manifest
from lit_precompute.schemas.writing.shard_writer import ShardWriter


class DatasetWriter:
    """Writes rows into shards of `rows_per_shard`; use as a context manager.

    Example:
      with DatasetWriter(path, tower=card, source=info) as writer:
          writer.write(keys=["a", "b"], embeddings=vectors, texts=[["a dog"], ["a cat", "a pet"]])
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        tower: TowerCard,
        source: SourceInfo,
        vector_type: VectorType = "float16",
        labels: bool = False,
        rows_per_shard: int = 65_536,
        block_rows: int = 1024,
        job: Mapping[str, Any] | None = None,
    ):
        """Starts a dataset.

        Raises:
          DatasetError: the directory holds a finished dataset already.
        """
        self._directory = pathlib.Path(directory)
        if (self._directory / MANIFEST_NAME).exists():
            raise DatasetError(
                f"{directory}: holds a finished dataset; datasets do not change: write to another directory"
            )
        shutil.rmtree(self._directory / WORK_FOLDER, ignore_errors=True)
        tables = [embeddings_table(tower.output_width, vector_type), captions_table(), failures_table()]
        self._tables = [*tables, labels_table()] if labels else tables
        self._labels = labels
        self._tower, self._source, self._job = tower, source, dict(job or {})
        self._rows_per_shard, self._block_rows = rows_per_shard, block_rows
        # The number of shards stands in their names and is known at the end: closed shards wait under temporary names.
        self._closed: list[ShardWriter] = []
        self._probes = ProbeSampler()
        self._shard = self._new_shard()
        self._num_rows = 0

    def write(
        self,
        *,
        keys: Sequence[str],
        embeddings: Any,
        texts: Sequence[Sequence[str]],
        labels: Sequence[str] | None = None,
    ) -> None:
        """Adds rows: keys, vectors [n, D], the texts of each, and labels when the dataset has them.

        Raises:
          DatasetError: columns of unequal length, labels missing or not expected, or a value that does not fit.
        """
        if (labels is not None) != self._labels:
            raise DatasetError(f"labels must be {'given' if self._labels else 'left out'}: this dataset was started so")
        if not len(keys) == len(embeddings) == len(texts) == len(keys if labels is None else labels):
            raise DatasetError(
                f"columns must be equally long, got {len(keys)} keys, {len(embeddings)} embeddings, {len(texts)} texts"
            )
        start = 0
        while start < len(keys):
            if self._num_rows == self._rows_per_shard:
                self._next_shard()
            stop = min(len(keys), start + self._rows_per_shard - self._num_rows)
            self._append("embeddings", {"key": keys[start:stop], "embedding": embeddings[start:stop]})
            self._append("captions", {"key": keys[start:stop], "texts": texts[start:stop]})
            if labels is not None:
                self._append("labels", {"key": keys[start:stop], "label": labels[start:stop]})
            self._num_rows += stop - start
            start = stop

    def fail(self, *, key: str, source: str, reason: str, message: str) -> None:
        """Notes a row that could not be embedded, and why."""
        self._append("failures", {"key": [key], "source": [source], "reason": [reason], "message": [message]})

    def close(self) -> Manifest:
        """Publishes the shards and the manifest, and returns it."""
        self._shard.close()
        writers = [*self._closed, self._shard]
        shards = [writer.finish(num_shards=len(writers)) for writer in writers]
        manifest = publish_manifest(
            self._directory,
            shards=shards,
            tables=self._tables,
            tower=self._tower,
            source=self._source,
            probes=self._probes.draw(),
            job=self._job,
            block_rows=self._block_rows,
        )
        shutil.rmtree(self._directory / WORK_FOLDER)
        return manifest

    def __enter__(self) -> "DatasetWriter":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Publishes; after an exception it removes what was written instead."""
        if kind is None:
            self.close()
            return
        for writer in [*self._closed, self._shard]:
            writer.abort()

    def _append(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        self._shard.append(table, columns)

    def _new_shard(self) -> ShardWriter:
        return ShardWriter(
            self._directory,
            shard=len(self._closed),
            tables=self._tables,
            block_rows=self._block_rows,
            probes=self._probes,
        )

    def _next_shard(self) -> None:
        self._shard.close()
        self._closed.append(self._shard)
        self._shard = self._new_shard()
        self._num_rows = 0
