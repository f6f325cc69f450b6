"""The embedding job as a Beam graph: embed the missing units, publish.

    Create(units without a shard) -> Reshuffle -> EmbedUnit -> Count -> Publish

Promises: only units and counts pass through a shuffle, never embeddings; the graph is the same on every runner.
"""

from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.metrics.metric import MetricResults, MetricsFilter
from apache_beam.pvalue import PCollection
from apache_beam.runners.runner import PipelineResult

from lit_precompute.pipelines.embed.errors import located
from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import Job
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.runners import new_pipeline
from lit_precompute.pipelines.embed.unit import NUM_RETRIED, EmbedUnit
from lit_precompute.precompute.sources.source import Source, WorkUnit


class Publish(beam.DoFn):
    """Publishes the manifest once every unit has its shard, unless too many rows failed, or all of them.

    A source of which a file has changed since it was planned is an error.
    """

    def __init__(self, job: Job, limit: FailureLimit):
        """Takes the job and how many rows may fail."""
        self._job, self._limit = job, limit

    def process(self, element: int) -> Iterator[int]:
        """Takes the number of units that this run embedded; yields the dataset's number of rows once it is complete."""
        del element  # the markers are decisive: they include shards of earlier runs
        directory = JobDirectory(self._job.output)
        if directory.is_published():  # by another launcher on the same output
            directory.sweep()
            return
        with located("publishing the dataset", self._job.output):
            finished = directory.finished()
            num_failures = sum(marker.info.num_failures for marker in finished.values())
            is_complete = len(finished) == self._job.num_units
            if is_complete and num_failures < self._job.num_rows and not self._limit.is_exceeded(num_failures):
                self._job.files.check()
                yield directory.publish(self._job, finished).num_rows


def build(
    pipeline: beam.Pipeline,
    options: EmbedOptions,
    job: Job,
    source: Source,
    missing: Sequence[WorkUnit],
    limit: FailureLimit,
    num_failures_before: int,
) -> PCollection[int]:
    """Adds the job's graph to a pipeline and returns what `Publish` yields.

    Args:
      pipeline: the pipeline.
      options: what to embed, and how.
      job: the planned job.
      source: what the units are read from.
      missing: units without a finished shard.
      limit: how many rows may fail.
      num_failures_before: failed rows in the finished shards.
    """
    return (
        pipeline
        | "Units" >> beam.Create(list(missing))
        | "Spread" >> beam.Reshuffle()
        | "Embed" >> beam.ParDo(EmbedUnit(options, job, source, limit, num_failures_before=num_failures_before))
        | "Count" >> beam.combiners.Count.Globally()
        | "Publish" >> beam.ParDo(Publish(job, limit))
    )


def run(
    options: EmbedOptions,
    job: Job,
    source: Source,
    units: Sequence[WorkUnit],
    limit: FailureLimit,
    beam_flags: list[str],
) -> int:
    """Runs the job to completion on the runner that the flags name; returns how many reads its workers tried again."""
    finished = JobDirectory(options.output).finished()
    missing = [unit for unit in units if unit.number not in finished]
    num_failures = sum(marker.info.num_failures for marker in finished.values())
    with new_pipeline(beam_flags) as pipeline:
        build(pipeline, options, job, source, missing, limit, num_failures)
    return _num_retried(pipeline.result)


def _num_retried(result: PipelineResult) -> int:
    """Returns what the workers have counted; 0 where the runner keeps no counters."""
    try:
        found = result.metrics().query(MetricsFilter().with_metric(NUM_RETRIED))
    except NotImplementedError:  # Dask
        return 0
    return sum(counter.result or 0 for counter in found.get(MetricResults.COUNTERS, []))
