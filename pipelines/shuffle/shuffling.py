"""Shuffling: checks, the job, and the dataset that it results in."""

from collections.abc import Sequence

from lit_precompute.pipelines.phases.job import Report
from lit_precompute.pipelines.phases.running import run
from lit_precompute.pipelines.shuffle.job import ShuffleJob, make_plan
from lit_precompute.pipelines.shuffle.options import ShuffleOptions
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.writing.publishing import check_files


def shuffle(
    options: ShuffleOptions, *, beam_flags: Sequence[str] = (), report: Report = lambda progress: None
) -> Manifest:
    """Writes a dataset in random order, and returns the new manifest. An interrupted call is resumed by an equal one.

    Args:
      options: what to shuffle.
      beam_flags: Beam's pipeline options; without any the job runs in this process, and needs no Beam.
      report: called as the work goes on.

    Raises:
      DatasetError: the dataset cannot be read, or what was written before is damaged.
      ClaimError: the output belongs to another job, or contains other files.
      ValueError: the options or flags cannot be used.
      PhasedJobError: a worker failed; what is finished is kept.
    """
    options = options.with_absolute_paths()
    plan = make_plan(options)
    job = ShuffleJob.of(options, plan)
    if (manifest := job.output.published(job.described())) is not None:
        check_files(job.output.folder, manifest.shards, manifest.tables)
        job.output.sweep()
        return manifest
    run(job, beam_flags, {"DATASET": options.dataset, "--output": options.output}, report)
    return job.publish(plan)
