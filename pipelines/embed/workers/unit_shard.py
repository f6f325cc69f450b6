"""The shard of one dataset that a unit becomes: rows in, a marker out."""

from collections.abc import Sequence
from types import TracebackType

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job
from lit_precompute.pipelines.embed.planning.keys import store_hashes
from lit_precompute.pipelines.embed.workers.tally import Tally
from lit_precompute.precompute.sources.source import columns_of
from lit_precompute.precompute.tower_batches import EmbeddedBatch
from lit_precompute.schemas import Environment, Note, ShardWriter
from lit_precompute.schemas.probes import share_of_shard
from lit_precompute.schemas.tables import EMBEDDING


class UnitShard:
    """A shard in progress; use as a context manager, which removes what is not finished."""

    def __init__(self, directory: JobDirectory, job: Job, unit: int, environment: Environment):
        """Starts the shard of a unit."""
        self._directory, self._job, self._unit = directory, job, unit
        self._writer = ShardWriter(
            directory.folder, shard=unit, tables=job.tables(), block_rows=BLOCK_ROWS, environment=environment
        )
        self._embeddings = list(job.towers())
        self._reasons, self._notes = Tally(), Tally()

    def append(self, batch: EmbeddedBatch) -> None:
        """Adds the rows and failures of a batch."""
        if batch.examples:
            columns = {table.name: columns_of(batch.examples, table) for table in self._job.plan.tables}
            keys = [example.key for example in batch.examples]
            embeddings = zip(self._embeddings, batch.vectors, strict=True)
            columns |= {table: {EMBEDDING: vectors} for table, vectors in embeddings}
            self._writer.append_rows(keys, columns)
        if batch.failures:
            names = ("key", "source", "reason", "message")
            columns = {name: [getattr(failure, name) for failure in batch.failures] for name in names}
            self._writer.append("failures", columns)
        for failure in batch.failures:
            self._reasons.add(failure.reason, failure.key)
        for example in batch.examples:
            for note in example.notes:
                self._notes.add(note, example.key)

    def finish(self, keys: Sequence[str]) -> ShardMarker:
        """Publishes the shard's files and returns its marker, which is yet to be written.

        Args:
          keys: of all the unit's rows, in order.
        """
        info = self._writer.finish([Note(what=what, count=count, first=key) for what, (count, key) in self._notes])
        has_hashes = not self._job.plan.has_keys
        if has_hashes:
            store_hashes(self._directory.folder, self._unit, keys)
        return ShardMarker(
            info=info,
            probes=self._writer.probes.draw(share_of_shard(self._unit, len(self._job.plan.units))),
            reasons=dict(self._reasons),
            has_hashes=has_hashes,
        )

    def __enter__(self) -> "UnitShard":
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes the files that were not published."""
        self._writer.abort()
