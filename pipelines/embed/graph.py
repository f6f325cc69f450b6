"""The embedding job as a Beam graph: plan, embed the units that are missing, publish.

    Create(units missing their shard) -> Reshuffle -> EmbedUnit -> Count -> Publish

Promises: only units and counts pass through a shuffle, never vectors; the graph is the same on every runner.
"""

from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import Job, JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.process import PROCESS
from lit_precompute.pipelines.embed.unit import EmbedUnit
from lit_precompute.precompute.batch_size import probe
from lit_precompute.precompute.sources.opening import open_source
from lit_precompute.precompute.sources.source import Source, WorkUnit
from lit_precompute.towers.tower import ImageTower


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
        finished = directory.finished()
        num_failures = sum(marker.info.num_failures for marker in finished.values())
        if len(finished) == self._job.num_units and not self._limit.is_exceeded(num_failures):
            yield directory.publish(self._job, finished).num_rows


# Where the launcher's devices are not the ones that embed, a probe here would tell nothing.
_BATCH_SIZE_ELSEWHERE = 64


def plan(
    options: EmbedOptions, *, embeds_here: bool = True, say: Callable[[str], None] = lambda words: None
) -> tuple[Job, Source, list[WorkUnit]]:
    """Returns the job, its source and its units; nothing is written.

    Args:
      options: what is asked.
      embeds_here: whether this process's devices will embed, so that a batch size can be chosen by trying them.
      say: is told what was chosen.

    Raises:
      SourceError, WeightsError, ValueError: source, weights or options cannot be used.
    """
    source = open_source(options.source, format=options.source_format, columns=options.columns)
    units = source.units(options.rows_per_shard)
    tower = PROCESS.tower(options.tower)
    job = Job(
        output=options.output,
        tower=tower.card(),
        source=source.info,
        num_rows=source.num_rows,
        num_units=len(units),
        source_tables=source.tables,
        vector_type=options.vector_type,
        batch_size=_batch_size(options, tower, source.num_rows, embeds_here, say),
        rows_per_shard=options.rows_per_shard,
    )
    return job, source, units


def _batch_size(
    options: EmbedOptions, tower: ImageTower, num_rows: int, embeds_here: bool, say: Callable[[str], None]
) -> int:
    """Returns the batch size that is asked for, the one that the job began with, or one by trial."""
    if options.batch_size is not None:
        if options.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {options.batch_size}")
        return options.batch_size
    if noted := JobDirectory(options.output).noted_option("batch_size"):
        return noted
    if not embeds_here:
        return _BATCH_SIZE_ELSEWHERE
    *others, chosen = probe(tower, num_rows=num_rows)
    tried = ", ".join(
        f"{one.batch_size}: {one.rate:,.0f}" for one in sorted([*others, chosen], key=lambda m: m.batch_size)
    )
    say(f"batch size {chosen.batch_size}, by trial (images/s at {tried}); --batch-size sets it")
    return chosen.batch_size


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
      options: what was asked for.
      job: the job.
      source: where its units are read.
      missing: units whose shards are not finished.
      limit: how many rows may fail.
      num_failures_before: rows that failed in the shards that are finished.
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
) -> None:
    """Runs the job to its end on the runner that the flags name."""
    finished = JobDirectory(options.output).finished()
    missing = [unit for unit in units if unit.number not in finished]
    num_failures = sum(marker.info.num_failures for marker in finished.values())
    with beam.Pipeline(options=PipelineOptions(beam_flags)) as pipeline:
        build(pipeline, options, job, source, missing, limit, num_failures)
