"""The embedding job as a Beam graph: plan, embed the units that are missing, publish.

    Create(units missing their shard) -> Reshuffle -> EmbedUnit -> Count -> Publish

Promises: only units and counts pass through a shuffle, never vectors; the graph is the same on every runner.
"""

from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

from pipelines.embed_unit import EmbedUnit, load_embedder
from pipelines.failure_limit import FailureLimit
from pipelines.job import Job, JobDirectory, JobOptions
from precompute.sources.opening import open_source
from precompute.sources.source import Source, WorkUnit


class Publish(beam.DoFn):
    """Publishes the manifest once every unit has its shard, unless too much has failed."""

    def __init__(self, job: Job, limit: FailureLimit):
        """Takes the job and how many rows may fail."""
        self._job, self._limit = job, limit

    def process(self, element: int) -> Iterator[int]:
        """Takes the number of units that this run embedded; yields the dataset's rows when it is complete."""
        del element  # the markers say more: shards of earlier runs count too
        directory = JobDirectory(self._job.output)
        if directory.is_published():  # by another launcher on the same output
            directory.sweep()
            return
        finished = directory.finished().values()
        num_failures = sum(marker.info.num_failures for marker in finished)
        if len(finished) == self._job.num_units and not self._limit.is_exceeded(num_failures):
            yield directory.publish(self._job).num_rows


def plan(options: JobOptions) -> tuple[Job, Source, list[WorkUnit]]:
    """Returns the job, its source and its units; nothing is written.

    Raises:
      SourceError, WeightsError, ValueError: source, weights or options cannot be used.
    """
    source = open_source(options.source, format=options.source_format, columns=options.columns)
    units = source.units(options.rows_per_shard)
    tower = load_embedder(options.tower).tower
    job = Job(
        output=options.output,
        tower=tower.card(),
        source=source.info,
        num_rows=source.num_rows,
        num_units=len(units),
        has_labels=source.has_labels,
        vector_type=options.vector_type,
        batch_size=options.tower.batch_size,
        rows_per_shard=options.rows_per_shard,
    )
    return job, source, units


def build(
    pipeline: beam.Pipeline,
    options: JobOptions,
    job: Job,
    source: Source,
    missing: Sequence[WorkUnit],
    limit: FailureLimit,
) -> PCollection[int]:
    """Adds the job's graph to a pipeline and returns what `Publish` yields."""
    return (
        pipeline
        | "Units" >> beam.Create(list(missing))
        | "Spread" >> beam.Reshuffle()
        | "Embed" >> beam.ParDo(EmbedUnit(options, job, source, limit))
        | "Count" >> beam.combiners.Count.Globally()
        | "Publish" >> beam.ParDo(Publish(job, limit))
    )


def run(
    options: JobOptions, job: Job, source: Source, units: Sequence[WorkUnit], limit: FailureLimit, beam_flags: list[str]
) -> None:
    """Runs the job to its end on the runner that the flags name."""
    finished = JobDirectory(options.output).finished()
    missing = [unit for unit in units if unit.number not in finished]
    with beam.Pipeline(options=PipelineOptions(beam_flags)) as pipeline:
        build(pipeline, options, job, source, missing, limit)
