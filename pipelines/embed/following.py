"""Following a job to its end, from the process that has started it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from lit_precompute.pipelines.embed.errors import EmbedError, in_words, without_stacks
from lit_precompute.pipelines.embed.reporting.counters import NUM_RETRIED
from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress, Watch
from lit_precompute.schemas.storage import num_retried

if TYPE_CHECKING:  # it imports Beam
    from lit_precompute.pipelines.engines.running import RunningJob

_STOP_S = 60.0


class EmbedStopped(Exception):  # noqa: N818 -- requested, so not an error
    """The job was stopped on request; finished shards are kept.

    Attributes:
      is_hanging: whether a unit does not end, in a read for example, and would keep this process from ending.
    """

    def __init__(self, *, is_hanging: bool):
        """Says how to resume."""
        super().__init__("finished shards are kept: run the same command again to resume")
        self.is_hanging = is_hanging


def follow(
    output: str,
    start: Callable[[], "RunningJob"],
    watch: Watch,
    num_retried_here: Callable[[], int],
    report: Callable[[EmbedProgress], None],
    should_stop: Callable[[], bool],
) -> int:
    """Starts a job and returns once it is done: how many reads workers elsewhere have tried again.

    Args:
      output: the job's.
      start: starts it.
      watch: how far it is.
      num_retried_here: returns how many reads this process has tried again.
      report: called about twice a second.
      should_stop: called as often; True stops a job in this process after the current batch, and cancels another.

    Raises:
      EmbedError: a worker failed, or more rows failed than allowed, or all; finished shards are kept. Or the engine
        cannot be asked to cancel the job.
      EmbedStopped: `should_stop` returned True.
    """
    from lit_precompute.pipelines.embed.workers.process_registry import PROCESS, JobProgress

    progress = JobProgress()
    with PROCESS.launching(output, progress), without_stacks():
        PROCESS.take_retried()  # those of planning
        before = num_retried()
        job = start()

        def look() -> None:
            if should_stop() and not progress.is_stop_requested:
                progress.request_stop()
                try:
                    job.cancel()
                except ConnectionError as error:
                    raise EmbedError(f"{error}. It may go on: `lit-embed cancel` asks its workers to stop") from error
            if progress.is_hanging(_STOP_S):
                raise EmbedStopped(is_hanging=True)
            report(watch.look(progress.num_rows, progress.num_failures, num_retried_here()))

        try:
            state = job.wait(look)
        except KeyboardInterrupt:  # in a notebook
            progress.request_stop()
            job.cancel()
            progress.wait_for_units(_STOP_S)
            raise
        if state == "done":
            return max(0, job.metrics().get(NUM_RETRIED, 0) - (num_retried() - before))
        is_stopped = progress.is_stop_requested
        # Runners do not wait for the other units; a thread at work while the interpreter ends would abort it.
        progress.request_stop()
        is_hanging = not progress.wait_for_units(_STOP_S)
        if is_stopped:
            raise EmbedStopped(is_hanging=is_hanging) from job.exception
        error = _in_words(job, output)
        error.is_hanging = is_hanging
        raise error from job.exception


def _in_words(job: "RunningJob", output: str) -> EmbedError:
    error = job.exception or RuntimeError(f"the job was {job.state()}")
    cause = in_words(error, output, job.error())
    if cause.says_all:
        return EmbedError(cause.sentence)
    resume = "" if cause.is_final else ". Finished shards are kept: run the same command again to resume"
    return EmbedError(f"the job stopped: {cause.sentence}{resume}", is_bug=cause.is_bug)
