"""Running a job in phases: in this process, which needs no Beam, or on one of Beam's engines."""

import contextlib
from collections.abc import Mapping, Sequence

from lit_precompute.pipelines.phases.job import PhasedJob, PhaseProgress, Report, finished_pieces


def run(job: PhasedJob, beam_flags: Sequence[str], places: Mapping[str, str | None], report: Report) -> None:
    """Does all that is left of a job, on the engine that flags name; without any in this process.

    Args:
      job: the job; its work folder is claimed once all that can be checked is.
      beam_flags: Beam's pipeline options.
      places: paths and URLs that workers read and write, by the option that names them.
      report: called as the work goes on.

    Raises:
      ClaimError: the work folder belongs to another job.
      ValueError: the flags do not fit, or workers cannot see a place.
      PhasedJobError: a worker of an engine failed; what is finished is kept.
    """
    if not beam_flags:
        job.claim()
        _run_here(job, report)
        return
    from lit_precompute.pipelines.phases.graph import check_flags, run_on_engine  # imports Beam

    flags = check_flags(beam_flags, places)
    job.claim()
    run_on_engine(job, flags, report)


def _run_here(job: PhasedJob, report: Report) -> None:
    """Does all that is left of a job, piece by piece."""
    with contextlib.closing(job.worker()) as worker:
        for phase in job.phases:
            finished = finished_pieces(job.work, phase)
            before = done = sum(phase.sizes[piece] for piece in finished)
            report(PhaseProgress(phase.name, done, before, sum(phase.sizes)))

            def tell(size: int, name: str = phase.name, before: int = before, total: int = sum(phase.sizes)) -> None:
                nonlocal done
                done += size
                report(PhaseProgress(name, done, before, total))

            for piece in range(len(phase.sizes)):
                if piece not in finished:
                    worker.do(phase.name, piece, tell)
