"""Stopping a job from any machine that reaches its output."""

from collections.abc import Iterator

from lit_precompute.pipelines.embed.job import JobError
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.engines.submission import recorded_job
from lit_precompute.schemas.storage import absolute


def cancel(output: str) -> Iterator[str]:
    """Asks a job's workers to stop after their current unit; yields what was done, a line each.

    Raises:
      JobError: there is no unfinished job.
    """
    directory = JobDirectory(absolute(output))
    path = directory.folder.path
    if directory.is_published():
        raise JobError(f"{path}: the job is finished; nothing is left to stop")
    launches = list(directory.launches().values())
    if directory.plan() is None and not launches:
        raise JobError(f"{path}: no job has begun here; check the path")
    directory.request_stop()
    for launch in launches:
        if (job := recorded_job(launch)) is not None and job.cancel():
            yield f"{path}: asked {launch['runner']} to cancel {launch['job_id']}"
    yield f"{path}: workers stop after their current unit; finished shards are kept, and its command resumes the job"
