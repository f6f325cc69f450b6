"""The work of one unit: embeds its rows and writes its shard. This is what Beam's workers run."""

import contextlib
import itertools
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.metrics.metric import Metrics

from lit_precompute.pipelines.embed.attempts import Attempt, Attempts, SetAside
from lit_precompute.pipelines.embed.counters import NUM_RETRIED
from lit_precompute.pipelines.embed.errors import in_words, located
from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.keys import store_hashes
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.markers import ShardMarker
from lit_precompute.pipelines.embed.preparing import settled_job
from lit_precompute.pipelines.embed.process_registry import PROCESS
from lit_precompute.pipelines.embed.results import Result
from lit_precompute.precompute.embedding import EmbeddedBatch, embed_examples
from lit_precompute.precompute.sources.planning import Uniqueness
from lit_precompute.precompute.sources.source import Example, WorkUnit, columns_of
from lit_precompute.schemas import Note, ShardWriter
from lit_precompute.schemas.probes import share_of_shard
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS

_NUM_RETRIED = Metrics.counter("lit-precompute", NUM_RETRIED)


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
    """Takes numbers of units; yields what became of each, once the shard's files and its marker are in the output."""

    def __init__(self, launch: LaunchOptions):
        """Takes what is pickled for the workers; the plan, the tower and the batch size are read there."""
        self._launch = launch

    def setup(self) -> None:
        """Opens the output; everything else waits for the first unit, when the plan is there for sure."""
        self._directory = JobDirectory(self._launch.embed.output)
        self._attempts = Attempts(self._directory.folder, self._launch.name)
        self._job: Job | None = None

    def process(self, element: int, num_failures: int = 0) -> Iterator[bytes]:
        """Embeds one unit.

        Args:
          element: its number.
          num_failures: rows that failed in the groups of units before this one; 0 if there is no limit.
        """
        with located(f"unit {element}", self._launch.embed.output):
            if self._directory.is_published() or self._directory.is_stop_requested():
                return
            try:
                yield from self._attempt(element, num_failures)
            except Exception:
                if not self._directory.is_published():
                    raise
                self._directory.sweep()  # a faster launcher on the same output has removed what this attempt needed

    def _attempt(self, element: int, num_failures: int) -> Iterator[bytes]:
        options = self._launch.embed
        if self._job is None:
            with located("starting a worker", options.output):
                self._job = settled_job(self._launch, self._directory)
                self._progress = PROCESS.progress(options.output)
        if FailureLimit.parse(options.max_failures, self._job.plan.num_rows).is_exceeded(num_failures):
            return
        if marker := self._directory.markers.read(element):  # another attempt was faster
            yield Result.finished(marker).to_bytes()
            return
        unit = self._job.plan.units[element]
        with located(_describe(unit, self._job), options.output):
            attempt = self._attempts.begin(element)
            if isinstance(attempt, SetAside):
                yield Result.set_aside(attempt).to_bytes()
                return
            try:
                with self._progress.unit():
                    marker = self._embed(self._job, unit)
            except Exception as error:
                with contextlib.suppress(OSError):  # a full disk, for example, which is what has to be said
                    self._end_badly(attempt, error)
                raise
        _NUM_RETRIED.inc(PROCESS.take_retried())
        yield Result.finished(marker).to_bytes()

    def _end_badly(self, attempt: Attempt, error: Exception) -> None:
        if self._progress.is_stop_requested:
            self._attempts.forget(attempt)
        else:
            cause = in_words(error, self._launch.embed.output)
            self._attempts.fail(attempt, cause.sentence)

    def _embed(self, job: Job, unit: WorkUnit) -> ShardMarker:
        """Writes the unit's shard and its marker."""
        marker = self._write_shard(job, unit)
        self._directory.markers.write(marker)
        if self._directory.is_published():  # a moment ago: nothing may remain of an unfinished job
            self._directory.sweep()
        return marker

    def _write_shard(self, job: Job, unit: WorkUnit) -> ShardMarker:
        self._check_stop()
        reasons, notes = Tally(), Tally()
        embedder = PROCESS.embedder(job.options.tower, job.batch_size)
        preparer = PROCESS.preparer(job.options.tower, job.batch_size, job.options.decoding)
        with ShardWriter(
            self._directory.folder,
            shard=unit.number,
            tables=job.tables(),
            block_rows=BLOCK_ROWS,
            environment=PROCESS.environment(),
        ) as writer:
            with self._launch.files.unchanged([part.path for part in unit.files]):
                keys: list[str] = []
                examples = self._examples(job, unit, keys)
                for batch in embed_examples(examples, embedder, preparer, job.options.vector_type):
                    self._check_stop()
                    _append(writer, job, batch)
                    self._progress.add(num_rows=len(batch.examples), num_failures=len(batch.failures))
                    for failure in batch.failures:
                        reasons.add(failure.reason, failure.key)
                    for example in batch.examples:
                        for note in example.notes:
                            notes.add(note, example.key)
            info = writer.finish()
        has_hashes = not job.plan.has_keys
        if has_hashes:
            store_hashes(self._directory.folder, unit.number, keys)
        return ShardMarker(
            info=info,
            probes=writer.probes.draw(share_of_shard(unit.number, len(job.plan.units))),
            reasons=dict(reasons),
            notes=[Note(what=what, count=count, first=key) for what, (count, key) in notes],
            has_hashes=has_hashes,
        )

    def _examples(self, job: Job, unit: WorkUnit, keys: list[str]) -> Iterator[Example]:
        """Yields a unit's rows; adds their keys to `keys`."""
        source = self._launch.source
        unique = Uniqueness(source.on_repeated_keys)
        parts = (source.read(part, job.plan.tables) for part in unit.files)
        for example in itertools.islice(itertools.chain.from_iterable(parts), unit.max_rows):
            unique.check(example.key, example.source)
            keys.append(example.key)
            yield example

    def _check_stop(self) -> None:
        if self._progress.is_stop_requested:
            raise StopRequestedError("the launcher requested a stop")


def _describe(unit: WorkUnit, job: Job) -> str:
    """Returns where a unit's rows are, for errors."""
    if unit.first_row is None or unit.num_rows is None:
        paths = [part.path for part in unit.files]
        return paths[0] if len(paths) == 1 else f"{paths[0]} to {paths[-1]}"
    first, last = unit.first_row + 1, unit.first_row + unit.num_rows
    rows = f"row {first:,}" if first == last else f"rows {first:,} to {last:,}"
    return f"{rows} of {job.plan.source.path}"


def _append(writer: ShardWriter, job: Job, batch: EmbeddedBatch) -> None:
    if batch.examples:
        columns = {table.name: columns_of(batch.examples, table) for table in job.plan.tables}
        keys = [example.key for example in batch.examples]
        writer.append_rows(keys, {EMBEDDINGS: {EMBEDDING: batch.vectors}, **columns})
    if batch.failures:
        names = ("key", "source", "reason", "message")
        writer.append("failures", {name: [getattr(failure, name) for failure in batch.failures] for name in names})
