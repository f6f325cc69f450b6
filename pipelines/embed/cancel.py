"""Stopping a job from any machine that reaches its output."""

from collections.abc import Iterator

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.job import JobError
from lit_precompute.pipelines.embed.several_towers import outputs_in
from lit_precompute.pipelines.engines.running import cannot_cancel
from lit_precompute.pipelines.engines.submission import recorded_job
from lit_precompute.schemas.storage import absolute


def cancel(output: str) -> Iterator[str]:
    """Asks a job's workers to stop after their current unit; yields what was done, a line each.

    At an output of several towers, it stops all of their datasets.

    Raises:
      JobError: there is no unfinished job, or its engine cannot be asked; workers are, before it.
    """
    directory = JobDirectory(absolute(output))
    path = directory.folder.path
    if directory.is_published():
        raise JobError(f"{path}: the job is finished; nothing is left to stop")
    if directory.was_begun():
        yield from _cancel(directory)
        return
    inside = [JobDirectory(each) for each in outputs_in(path)]
    unfinished = [each for each in inside if not each.is_published()]
    if not unfinished:
        what = "all jobs here are finished; nothing is left to stop" if inside else "no job has begun here"
        raise JobError(f"{path}: {what}{'' if inside else '; check the path'}")
    for each in unfinished:
        yield from _cancel(each)


def _cancel(directory: JobDirectory) -> Iterator[str]:
    path = directory.folder.path
    directory.request_stop()
    for launch in directory.launches().values():
        try:
            is_asked = (job := recorded_job(launch)) is not None and job.cancel()
        except Exception as error:
            advice = "workers were asked to stop after their current unit"
            why = cannot_cancel(launch["runner"], launch["job_id"], error)
            raise JobError(f"{path}: {why}; {advice}") from error
        if is_asked:
            yield f"{path}: asked {launch['runner']} to cancel {launch['job_id']}"
    yield f"{path}: workers stop after their current unit; finished shards are kept, and its command resumes the job"
