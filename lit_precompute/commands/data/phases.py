"""What the commands share that run jobs in phases, here or on an engine of Beam's."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from lit_precompute.commands.beam_flags import check_beam_flags
from lit_precompute.commands.console import duration, fail, writing_to
from lit_precompute.commands.progress import Display
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.commands.stopping import INTERRUPTED, interruptible
from lit_precompute.pipelines.phases.job import PhasedJobError, PhaseProgress, Report

_Result = TypeVar("_Result")


def run_phases(
    command: Any,
    name: str,
    beam_flags: Sequence[str],
    how_to_resume: str,
    run: Callable[[], _Result],
    *,
    output: str,
    more_flags: Sequence[str] = (),
) -> _Result:
    """Runs a job; exits with 1 if a worker fails, and with 130 if it is interrupted.

    Args:
      command: the command, for its flags.
      name: its name.
      beam_flags: flags that are not its own.
      how_to_resume: what to say where it is interrupted.
      run: runs the job.
      output: where it writes.
      more_flags: flags of the command that are not its fields'.

    Raises:
      ValueError: Beam does not define the flags.
    """
    silence_libraries()
    own_flags = [*(f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(command)), *more_flags]
    with interruptible(how_to_resume), writing_to(output):
        check_beam_flags(beam_flags, f"lit-data {name}", own_flags)
        try:
            return run()
        except KeyboardInterrupt:
            if not beam_flags:
                raise
            # Threads of the runner would keep the process alive.
            os.write(2, f"error: interrupted; {how_to_resume}\n".encode())
            os._exit(INTERRUPTED)
        except PhasedJobError as error:
            fail(error, status=1)


def shows_progress(display: Display, nouns: Mapping[str, str]) -> Report:
    """Returns a function that shows how much is done, the rate and the time left; `nouns` by phase."""
    started_s: dict[str, float] = {}

    def report(progress: PhaseProgress) -> None:
        now_s = time.monotonic()
        seconds = now_s - started_s.setdefault(progress.phase, now_s)
        words = f"{progress.done:,}/{progress.size:,} {nouns[progress.phase]}"
        if seconds and progress.done > progress.done_before:
            rate = (progress.done - progress.done_before) / seconds
            shown = f"{rate / 1e6:,.1f} M" if rate >= 1e6 else f"{rate:,.0f} "
            words += f"  {shown}/s  {duration((progress.size - progress.done) / rate)} left"
        display.show(words, progress.done, progress.size, task=progress.phase)

    return report
