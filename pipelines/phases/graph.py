"""A job in phases as a Beam graph, and following it to its end.

    pieces of the first phase -> Reshuffle -> DoPiece -> count
    pieces of the next phase  -> Reshuffle -> DoPiece (which waits for the count before it) -> count

Promises: only numbers of pieces pass through shuffles; the result is that of a job in this process.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from lit_precompute.pipelines.embed.errors import in_words, located, without_stacks
from lit_precompute.pipelines.engines import runners, submission
from lit_precompute.pipelines.engines.notebooks import as_in_a_script
from lit_precompute.pipelines.phases.job import (
    Phase,
    PhasedJob,
    PhasedJobError,
    PhaseProgress,
    Report,
    Worker,
    finished_pieces,
)

_LOOK_S = 2.0


class DoPiece(beam.DoFn):
    """Takes numbers of pieces; yields 1 for each that is done."""

    def __init__(self, job: PhasedJob, phase: Phase):
        """Takes the job and one of its phases."""
        self._job, self._phase = job, phase
        self._worker: Worker | None = None

    def process(self, element: int, done_before: int = 0) -> Iterator[int]:
        """Does a piece, unless another attempt has."""
        del done_before  # waiting for it was all
        with located(f"{self._phase.name} {element}", self._job.work.path):
            if not self._job.work.exists(self._phase.file_name(element)):
                self._worker = self._worker or self._job.worker()
                self._worker.do(self._phase.name, element, lambda size: None)
        yield 1

    def teardown(self) -> None:
        """Closes files."""
        if self._worker is not None:
            self._worker.close()


def check_flags(beam_flags: Sequence[str], places: Mapping[str, str | None]) -> list[str]:
    """Returns Beam's pipeline options with what the engine's workers need; nothing is submitted.

    Raises:
      ValueError: they do not fit, or workers cannot see a place.
    """
    runners.check_runner(beam_flags)
    return submission.checked_flags(beam_flags, tower="", places=places)


def run_on_engine(job: PhasedJob, flags: Sequence[str], report: Report) -> None:
    """Does all that is left of a job on the engine that flags name, which `check_flags` has returned.

    Raises:
      PhasedJobError: a worker failed.
    """
    pipeline = runners.new_pipeline(flags)
    before = {phase.name: finished_pieces(job.work, phase) for phase in job.phases}
    with as_in_a_script():
        _build(pipeline, job, before)
    watch = _Watch(job, before, report)
    with without_stacks():
        running = submission.start(pipeline, flags)
        try:
            state = running.wait(watch.look, every_s=_LOOK_S)
        except KeyboardInterrupt:
            running.cancel()
            raise
    if state != "done":
        error = running.exception or RuntimeError(f"the job was {state}")
        cause = in_words(error, job.work.path, running.error())
        words = f"the job stopped: {cause.sentence}. Finished parts are kept: run the same command again to resume"
        raise PhasedJobError(words) from running.exception
    watch.look()


def _build(pipeline: beam.Pipeline, job: PhasedJob, finished: Mapping[str, set[int]]) -> None:
    done: Any = None
    for phase in job.phases:
        todo = [piece for piece in range(len(phase.sizes)) if piece not in finished[phase.name]]
        waits = [] if done is None else [AsSingleton(done)]
        done = (
            pipeline
            | f"{phase.name}: pieces" >> beam.Create(todo)
            | f"{phase.name}: spread" >> beam.Reshuffle()
            | f"{phase.name}: do" >> beam.ParDo(DoPiece(job, phase), *waits)
            | f"{phase.name}: count" >> beam.CombineGlobally(sum)
        )


class _Watch:
    """Tells how far a job is, by listings."""

    def __init__(self, job: PhasedJob, before: Mapping[str, set[int]], report: Report):
        self._job, self._before, self._report = job, before, report
        self._current = 0

    def look(self) -> None:
        """Reports the phase that is being done."""
        while self._current < len(self._job.phases):
            phase = self._job.phases[self._current]
            finished = finished_pieces(self._job.work, phase)
            done, before = (sum(phase.sizes[piece] for piece in each) for each in (finished, self._before[phase.name]))
            self._report(PhaseProgress(phase.name, done, before, sum(phase.sizes)))
            if len(finished) < len(phase.sizes):
                return
            self._current += 1
