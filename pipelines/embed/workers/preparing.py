"""Preparing a process to embed: its devices, the tower, and the batch size that all processes of a job share."""

from collections.abc import Callable

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.job import Job, JobError
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.precompute.batch_size import Measured, probe, try_batch
from lit_precompute.precompute.images.libraries import bound_heaps
from lit_precompute.precompute.machine import check_device, num_devices
from lit_precompute.schemas.wording import counted
from lit_precompute.towers.tower import ImageTower


def prepare_here(
    options: EmbedOptions, directory: JobDirectory, plan: Plan, say: Callable[[str], None]
) -> tuple[ImageTower, int]:
    """Returns the tower and the batch size, in a process that will embed; writes nothing.

    Args:
      options: what to embed, and how.
      directory: the output.
      plan: of the job.
      say: called with a line that says which batch size was chosen.

    Raises:
      WeightsError, ValueError: weights or options cannot be used, or the output belongs to another job.
    """
    bound_heaps()
    check_device(options.device, options.num_devices)
    tower = PROCESS.tower(options.tower)
    directory.check({"tower": tower.card().model_dump()} if "tower" in (directory.noted() or {}) else {})
    batch_size = options.batch_size or directory.settled_batch_size()
    if batch_size is None:
        chosen = _choose(tower, plan.num_rows, options.rows_per_shard, say)
        batch_size = chosen.batch_size
        PROCESS.embedder(options.tower, batch_size, chosen.embedder)
    if batch_size > options.rows_per_shard:
        say(
            f"a batch of {batch_size} on {counted(num_devices(), 'device')} is larger than --rows-per-shard "
            f"{options.rows_per_shard}, which no batch crosses: the rest of it is padding; give more rows per shard"
        )
    if directory.noted() is None:
        try_batch(PROCESS.embedder(options.tower, batch_size))  # the job will keep its batch size: it must work
    return tower, batch_size


def settled_job(options: EmbedOptions, directory: JobDirectory) -> Job:
    """Returns the job of a dataset, in a worker: the first one settles what the launcher could not know.

    Raises:
      JobError: no plan was stored.
      ClaimError: this worker's tower is not the job's.
    """
    plan = directory.plan()
    if plan is None:
        raise JobError(f"{directory.folder.path}: the job's plan is missing: another program has removed it")
    tower, batch_size = prepare_here(options, directory, plan, say=lambda words: None)
    directory.settle_tower(tower.card())
    if options.batch_size is None:
        batch_size = directory.settle_batch_size(batch_size)
    return Job(options=options, plan=plan, tower=tower.card(), batch_size=batch_size)


def _choose(tower: ImageTower, num_rows: int | None, rows_per_shard: int, say: Callable[[str], None]) -> Measured:
    """Returns the batch size that a trial on this process's devices found to be good."""
    *others, chosen = probe(tower, num_rows=num_rows, rows_per_unit=rows_per_shard)
    tried = ", ".join(
        f"{one.batch_size}: {one.rate:,.0f}" for one in sorted([*others, chosen], key=lambda m: m.batch_size)
    )
    say(f"batch size {chosen.batch_size}, by trial (images/s at {tried}); --batch-size sets it")
    return chosen
