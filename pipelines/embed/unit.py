"""The work of one unit: embeds its rows and writes its shard. This is what Beam's workers run."""

import uuid
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.metrics.metric import Metrics

from lit_precompute.pipelines.embed.errors import located
from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job, JobError, ShardMarker
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.process_registry import PROCESS
from lit_precompute.precompute.embedding import EmbeddedBatch, embed_examples
from lit_precompute.precompute.sources.source import Source, WorkUnit, columns_of
from lit_precompute.schemas import Note, ShardWriter
from lit_precompute.schemas.probes import share_of_shard
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS

# Counts, in all of a job's processes, the reads that a server or a network broke and that were tried again.
NUM_RETRIED = Metrics.counter("lit-precompute", "num-retried")


class Tally:
    """How often each of some words occurred, and the key of the first row it did."""

    def __init__(self) -> None:
        """Starts empty."""
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, key: str) -> None:
        """Counts one occurrence."""
        count, first = self._found.get(what, (0, key))
        self._found[what] = count + 1, first

    def __iter__(self) -> Iterator[tuple[str, tuple[int, str]]]:
        """Yields (what, (count, first key)), sorted."""
        return iter(sorted(self._found.items()))


class StopRequestedError(RuntimeError):
    """The launcher requested a stop; finished shards are kept."""


class EmbedUnit(beam.DoFn):
    """Takes units, yields the numbers of their shards once files and marker are in the output directory."""

    def __init__(
        self, options: EmbedOptions, job: Job, source: Source, limit: FailureLimit, *, num_failures_before: int
    ):
        """Takes what is pickled for the workers; the tower is loaded there.

        Args:
          options: what to embed, and how.
          job: the planned job.
          source: what the units are read from.
          limit: how many rows may fail.
          num_failures_before: failed rows in shards finished before this launch.
        """
        self._options, self._job, self._source, self._limit = options, job, source, limit
        self._num_failures_before = num_failures_before
        self._launch = uuid.uuid4().hex

    def setup(self) -> None:
        """Loads the tower and checks that its fingerprint is the job's.

        Raises:
          WorkerError: the worker's weights differ from the launcher's.
        """
        with located("starting a worker", self._options.output):
            self._load()

    def _load(self) -> None:
        options = self._options
        self._progress = PROCESS.progress(options.output)
        self._embedder = PROCESS.embedder(options.tower, self._job.batch_size)
        found = self._embedder.tower.fingerprint()
        if found != self._job.tower.fingerprint:
            raise JobError(
                f"{options.tower.weights or options.tower.name}: this worker's tower has the fingerprint "
                f"{found}, the job's is {self._job.tower.fingerprint}; give all workers the same weights"
            )
        self._preparer = PROCESS.preparer(options.tower, self._job.batch_size, options.decoding)
        self._tally = PROCESS.tally(self._launch, self._num_failures_before)

    def process(self, element: WorkUnit) -> Iterator[int]:
        """Embeds one unit; yields its shard's number, or nothing if too many rows have already failed."""
        directory = JobDirectory(self._options.output)
        if directory.is_published():  # by a faster launcher on the same output
            return
        if self._limit.is_exceeded(self._tally.num_failures):
            return
        first, last = element.first_row + 1, element.first_row + element.num_rows
        rows = f"row {first:,}" if first == last else f"rows {first:,} to {last:,}"
        with self._progress.unit(), located(f"{rows} of {self._job.source.path}", self._options.output):
            try:
                marker = self._embed(element)
                directory.mark_finished(marker)
                self._tally.add(element.number, marker.info.num_failures)
            except FileNotFoundError:
                if not directory.is_published():
                    raise
                # Another launcher has published the dataset and swept this attempt's files away.
        NUM_RETRIED.inc(PROCESS.take_retried())
        yield element.number

    def _embed(self, unit: WorkUnit) -> ShardMarker:
        self._check_stop()
        reasons, notes = Tally(), Tally()
        with ShardWriter(
            self._options.output,
            shard=unit.number,
            num_shards=self._job.num_units,
            tables=self._job.tables(),
            block_rows=BLOCK_ROWS,
        ) as writer:
            with self._job.files.unchanged([part.path for part in unit.files]):
                examples = self._source.read(unit)
                for batch in embed_examples(examples, self._embedder, self._preparer, self._job.vector_type):
                    self._check_stop()
                    self._append(writer, batch)
                    self._progress.add(num_rows=len(batch.examples), num_failures=len(batch.failures))
                    for failure in batch.failures:
                        reasons.add(failure.reason, failure.key)
                    for example in batch.examples:
                        for note in example.notes:
                            notes.add(note, example.key)
            info = writer.finish()
        return ShardMarker(
            info=info,
            probes=writer.probes.draw(share_of_shard(unit.number, self._job.num_units)),
            reasons=dict(reasons),
            notes=[Note(what=what, count=count, first=key) for what, (count, key) in notes],
        )

    def _check_stop(self) -> None:
        if self._progress.is_stop_requested:
            raise StopRequestedError("the launcher requested a stop")

    def _append(self, writer: ShardWriter, batch: EmbeddedBatch) -> None:
        if batch.examples:
            columns = {table.name: columns_of(batch.examples, table) for table in self._job.source_tables}
            keys = [example.key for example in batch.examples]
            writer.append_rows(keys, {EMBEDDINGS: {EMBEDDING: batch.vectors}, **columns})
        if batch.failures:
            names = ("key", "source", "reason", "message")
            writer.append("failures", {name: [getattr(failure, name) for failure in batch.failures] for name in names})
