"""The work of one unit: embed its rows and write its shard. This is what Beam's workers run."""

import collections
import functools
import os
import threading
import uuid
from collections.abc import Iterator

import apache_beam as beam

from lit_precompute.pipelines.embed.counters import COUNTERS
from lit_precompute.pipelines.embed.failure_limit import FailureLimit, tally_of
from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job, JobDirectory, JobError, ShardMarker
from lit_precompute.pipelines.embed.options import JobOptions, TowerOptions
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.embedding import DecodeIn, EmbeddedBatch, embed_examples, make_preparer
from lit_precompute.precompute.images.ahead import Preparer
from lit_precompute.precompute.sources.source import Source, WorkUnit, columns_of
from lit_precompute.schemas import ShardWriter
from lit_precompute.schemas.probes import share_of_shard
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.tower import ImageTower

_LOADING = threading.Lock()


class StopRequestedError(RuntimeError):
    """The launcher asked for an end; finished shards stay."""


def load_tower_once(options: TowerOptions) -> ImageTower:
    """Returns the tower; it is loaded once per process, whatever the number of threads."""
    with _LOADING:
        return _load_tower(options)


def load_embedder(options: TowerOptions, batch_size: int) -> Embedder:
    """Returns the tower on the devices, once per process, too."""
    with _LOADING:
        return _load_embedder(options, batch_size)


def make_preparer_once(options: TowerOptions, batch_size: int, decode_in: DecodeIn, num_workers: int) -> Preparer:
    """Returns what prepares the tower's pictures; also once per process, since it may start some of its own."""
    with _LOADING:
        return _make_preparer(options, batch_size, decode_in, num_workers)


@functools.lru_cache(maxsize=1)
def _load_tower(options: TowerOptions) -> ImageTower:
    return load_tower(
        options.tower,
        options.weights,
        resolution=options.resolution,
        resize=options.resize,
        pooling=options.pooling,
        compute_type=options.compute_type,
    )


@functools.lru_cache(maxsize=1)
def _load_embedder(options: TowerOptions, batch_size: int) -> Embedder:
    return Embedder(_load_tower(options), batch_size=batch_size)


@functools.lru_cache(maxsize=1)
def _make_preparer(options: TowerOptions, batch_size: int, decode_in: DecodeIn, num_workers: int) -> Preparer:
    return make_preparer(_load_embedder(options, batch_size), decode_in=decode_in, num_workers=num_workers)


class EmbedUnit(beam.DoFn):
    """Unit in, number of its shard out; the shard's files and its marker are in the output directory then."""

    def __init__(self, options: JobOptions, job: Job, source: Source, limit: FailureLimit, *, num_failures_before: int):
        """Takes what travels to workers; the tower is loaded there.

        Args:
          options: what was asked for.
          job: the job.
          source: where its units are read.
          limit: how many rows may fail.
          num_failures_before: rows that failed in shards that were finished before this launch.
        """
        self._options, self._job, self._source, self._limit = options, job, source, limit
        self._num_failures_before = num_failures_before
        self._launch = uuid.uuid4().hex

    def setup(self) -> None:
        """Loads the tower and checks that it is the job's.

        Raises:
          JobError: the worker's weights are not the launcher's.
        """
        options = self._options
        self._embedder = load_embedder(options.tower, self._job.batch_size)
        found = self._embedder.tower.fingerprint()
        if found != self._job.tower.fingerprint:
            raise JobError(
                f"{options.tower.weights or options.tower.tower}: this worker's tower has the fingerprint "
                f"{found}, the job's is {self._job.tower.fingerprint}: give all workers the same weights"
            )
        num_workers = options.decode_workers or max(2, os.cpu_count() or 2)
        self._preparer = make_preparer_once(options.tower, self._job.batch_size, options.decode_in, num_workers)
        self._tally = tally_of(self._launch, self._num_failures_before)

    def process(self, element: WorkUnit) -> Iterator[int]:
        """Embeds one unit; yields its shard's number, or nothing when too much has failed before."""
        directory = JobDirectory(self._options.output)
        if directory.is_published():  # by another launcher, faster than this one
            return
        if self._limit.is_exceeded(self._tally.num_failures):
            return
        try:
            marker = self._embed(element)
            directory.mark_finished(marker)
            self._tally.add(element.number, marker.info.num_failures)
        except FileNotFoundError:
            if not directory.is_published():
                raise
            # Another launcher has published this shard with all others, and swept this attempt's files away.
        yield element.number

    def _embed(self, unit: WorkUnit) -> ShardMarker:
        reasons: collections.Counter[str] = collections.Counter()
        first_keys: dict[str, str] = {}
        with ShardWriter(
            self._options.output,
            shard=unit.number,
            num_shards=self._job.num_units,
            tables=self._job.tables(),
            block_rows=BLOCK_ROWS,
        ) as writer:
            examples = self._source.read(unit)
            for batch in embed_examples(examples, self._embedder, self._preparer):
                if COUNTERS.stop_requested.is_set():
                    raise StopRequestedError("the launcher asked for an end")
                self._append(writer, batch)
                COUNTERS.add(num_rows=len(batch.examples), num_failures=len(batch.failures))
                for failure in batch.failures:
                    reasons[failure.reason] += 1
                    first_keys.setdefault(failure.reason, failure.key)
            info = writer.finish()
        return ShardMarker(
            info=info,
            probes=writer.probes.draw(share_of_shard(unit.number, self._job.num_units)),
            reasons={reason: (reasons[reason], first_keys[reason]) for reason in sorted(reasons)},
        )

    def _append(self, writer: ShardWriter, batch: EmbeddedBatch) -> None:
        if batch.examples:
            columns = {table.name: columns_of(batch.examples, table) for table in self._job.source_tables}
            keys = [example.key for example in batch.examples]
            writer.append_rows(keys, {EMBEDDINGS: {EMBEDDING: batch.vectors}, **columns})
        if batch.failures:
            names = ("key", "source", "reason", "message")
            writer.append("failures", {name: [getattr(failure, name) for failure in batch.failures] for name in names})
