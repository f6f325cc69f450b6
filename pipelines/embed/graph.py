"""The embedding job as a Beam graph: plan, embed the missing units, publish.

    Create(units without a shard) -> Reshuffle -> EmbedUnit -> Count -> Publish

Promises: only units and counts pass through a shuffle, never embeddings; the graph is the same on every runner.
"""

from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import Job, JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.process_registry import PROCESS
from lit_precompute.pipelines.embed.unit import EmbedUnit
from lit_precompute.precompute.batch_size import probe
from lit_precompute.precompute.sources.opening import open_source
from lit_precompute.precompute.sources.source import Source, WorkUnit
from lit_precompute.towers.tower import ImageTower


class Publish(beam.DoFn):
    """Publishes the manifest once every unit has its shard, unless too many rows failed."""

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
        finished = directory.finished()
        num_failures = sum(marker.info.num_failures for marker in finished.values())
        if len(finished) == self._job.num_units and not self._limit.is_exceeded(num_failures):
            yield directory.publish(self._job, finished).num_rows


# Used when other machines embed: a trial on the launcher's devices would say nothing about theirs.
_BATCH_SIZE_ELSEWHERE = 64


def plan(
    options: EmbedOptions, *, embeds_here: bool = True, say: Callable[[str], None] = lambda words: None
) -> tuple[Job, Source, list[WorkUnit]]:
    """Returns the job, its source and its units; nothing is written.

    Args:
      options: what to embed, and how.
      embeds_here: whether this process's devices will embed, so that a trial on them can choose the batch size.
      say: called with a line that says which batch size was chosen.

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
        max_pixels=options.decoding.max_pixels,
    )
    return job, source, units


def _batch_size(
    options: EmbedOptions, tower: ImageTower, num_rows: int, embeds_here: bool, say: Callable[[str], None]
) -> int:
    """Returns the given batch size, else the one that the job began with, else one chosen by a trial."""
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
) -> None:
    """Runs the job to completion on the runner that the flags name."""
    finished = JobDirectory(options.output).finished()
    missing = [unit for unit in units if unit.number not in finished]
    num_failures = sum(marker.info.num_failures for marker in finished.values())
    with beam.Pipeline(options=PipelineOptions(beam_flags)) as pipeline:
        build(pipeline, options, job, source, missing, limit, num_failures)
