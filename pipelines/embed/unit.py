"""The work of one unit: embed its rows and write its shard. This is what Beam's workers run."""

import collections
from collections.abc import Iterator

import apache_beam as beam

from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job, JobDirectory, JobError, ShardMarker
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.process import PROCESS
from lit_precompute.precompute.embedding import EmbeddedBatch, embed_examples
from lit_precompute.precompute.sources.source import Source, WorkUnit
from lit_precompute.schemas import ShardWriter
from lit_precompute.schemas.probes import share_of_shard


class StopRequestedError(RuntimeError):
    """The launcher requested a stop; finished shards stay."""


class EmbedUnit(beam.DoFn):
    """Unit in, number of its shard out; the shard's files and its marker are in the output directory then."""

    def __init__(self, options: EmbedOptions, job: Job, source: Source, limit: FailureLimit):
        """Takes what travels to workers; the tower is loaded there."""
        self._options, self._job, self._source, self._limit = options, job, source, limit

    def setup(self) -> None:
        """Loads the tower and checks that it is the job's.

        Raises:
          JobError: the worker's weights are not the launcher's.
        """
        options = self._options
        self._progress = PROCESS.progress(options.output)
        self._embedder = PROCESS.embedder(options.tower, self._job.batch_size)
        found = self._embedder.tower.fingerprint()
        if found != self._job.tower.fingerprint:
            raise JobError(
                f"{options.tower.weights or options.tower.name}: this worker's tower has the fingerprint "
                f"{found}, the job's is {self._job.tower.fingerprint}: give all workers the same weights"
            )
        self._preparer = PROCESS.preparer(options.tower, self._job.batch_size, options.decoding)

    def process(self, element: WorkUnit) -> Iterator[int]:
        """Embeds one unit; yields its shard's number, or nothing when too much has failed before."""
        directory = JobDirectory(self._options.output)
        if directory.is_published():  # by another launcher, faster than this one
            return
        failed_before = sum(marker.info.num_failures for marker in directory.finished().values())
        if self._limit.is_exceeded(failed_before):
            return
        try:
            directory.mark_finished(self._embed(element, failed_before))
        except FileNotFoundError:
            if not directory.is_published():
                raise
            # Another launcher has published this shard with all others, and swept this attempt's files away.
        yield element.number

    def _embed(self, unit: WorkUnit, failed_before: int) -> ShardMarker:
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
                if self._progress.is_stop_requested:
                    raise StopRequestedError("the launcher requested a stop")
                self._append(writer, batch)
                self._progress.add(num_rows=len(batch.examples), num_failures=len(batch.failures))
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
        keys = [example.key for example in batch.examples]
        if keys:
            writer.append("embeddings", {"key": keys, "embedding": batch.vectors})
            writer.append("captions", {"key": keys, "texts": [list(example.texts) for example in batch.examples]})
            if self._job.has_labels:
                writer.append("labels", {"key": keys, "label": [example.label for example in batch.examples]})
        if batch.failures:
            names = ("key", "source", "reason", "message")
            writer.append("failures", {name: [getattr(failure, name) for failure in batch.failures] for name in names})
