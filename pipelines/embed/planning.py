"""Planning the embedding job: everything that determines the dataset, before anything is written."""

from collections.abc import Callable, Mapping
from typing import Any

from lit_precompute.pipelines.embed.job import Job
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planned_files import PlannedFiles
from lit_precompute.pipelines.embed.process_registry import PROCESS
from lit_precompute.precompute.batch_size import probe, try_batch
from lit_precompute.precompute.sources.source import Source, WorkUnit
from lit_precompute.towers.tower import ImageTower

# Used when other machines embed: a trial on the launcher's devices would say nothing about theirs.
_BATCH_SIZE_ELSEWHERE = 64


def plan(
    options: EmbedOptions,
    source: Source,
    *,
    files: PlannedFiles | None = None,
    embeds_here: bool = True,
    say: Callable[[str], None] = lambda words: None,
) -> tuple[Job, list[WorkUnit]]:
    """Returns the job and its units; nothing is written. Loads the tower, and tries it unless the job is known.

    Args:
      options: what to embed, and how.
      source: the opened source.
      files: the versions of its files, if they are to be compared.
      embeds_here: whether this process's devices will embed, so that a trial on them can choose the batch size.
      say: called with a line that says which batch size was chosen.

    Raises:
      WeightsError, ValueError: weights or options cannot be used, or the output belongs to another job.
    """
    directory = JobDirectory(options.output)
    units = source.units(options.rows_per_shard)
    tower = PROCESS.tower(options.tower)
    card = tower.card()
    directory.check({"tower": card.model_dump()})
    noted = directory.noted()
    job = Job(
        output=options.output,
        tower=card,
        source=source.info,
        num_rows=source.num_rows,
        num_units=len(units),
        source_tables=source.tables,
        source_notes=source.notes,
        vector_type=options.vector_type,
        batch_size=_batch_size(options, noted, tower, source.num_rows, embeds_here, say),
        rows_per_shard=options.rows_per_shard,
        max_pixels=options.decoding.max_pixels,
        files=files or PlannedFiles(),
    )
    if embeds_here and not noted:
        try_batch(PROCESS.embedder(options.tower, job.batch_size))  # the job will keep its batch size: it must work
    return job, units


def _batch_size(
    options: EmbedOptions,
    noted: Mapping[str, Any] | None,
    tower: ImageTower,
    num_rows: int,
    embeds_here: bool,
    say: Callable[[str], None],
) -> int:
    """Returns the given batch size, else the one that the job began with, else one chosen by a trial."""
    if options.batch_size is not None:
        return options.batch_size
    if noted and (known := noted["options"].get("batch_size")):
        return known
    if not embeds_here:
        return _BATCH_SIZE_ELSEWHERE
    *others, chosen = probe(tower, num_rows=num_rows)
    tried = ", ".join(
        f"{one.batch_size}: {one.rate:,.0f}" for one in sorted([*others, chosen], key=lambda m: m.batch_size)
    )
    say(f"batch size {chosen.batch_size}, by trial (images/s at {tried}); --batch-size sets it")
    return chosen.batch_size
