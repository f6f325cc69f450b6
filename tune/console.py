"""What lit-tune and lit-eval say: progress on a terminal or in a log, results, and errors in one line."""

import signal
import sys
import time
from types import TracebackType

import rich.console
import rich.progress

from tune.training import Progress

_LINE_EVERY_S = 10.0


class ProgressDisplay:
    """A bar on a terminal; elsewhere a line now and then, so that logs can be followed."""

    def __init__(self, console: rich.console.Console):
        """Shows on this console."""
        self._console = console
        self._last_line_s = -_LINE_EVERY_S
        self._started_s = time.monotonic()
        self._first_step: int | None = None
        columns = ("{task.description}", rich.progress.BarColumn(), "{task.completed}/{task.total} steps")
        self._bar = rich.progress.Progress(
            *columns, rich.progress.TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> "ProgressDisplay":
        """Starts the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the bar."""
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Shows where the run stands."""
        metrics = progress.metrics
        words = f"loss {metrics['loss']:.4f}  scale {metrics['scale']:.1f}  {metrics['pairs_per_second']:,.0f} pairs/s"
        if self._console.is_terminal:
            self._bar.update(self._task, description=words, completed=progress.step, total=progress.num_steps)
            return
        now = time.monotonic()
        if now - self._last_line_s >= _LINE_EVERY_S or progress.step == progress.num_steps:
            self._last_line_s = now
            self._console.print(f"step {progress.step}/{progress.num_steps}  {words}{self._time_left(progress, now)}")

    def _time_left(self, progress: Progress, now: float) -> str:
        if self._first_step is None:
            self._first_step, self._started_s = progress.step, now
            return ""
        done = progress.step - self._first_step
        left_s = (progress.num_steps - progress.step) * (now - self._started_s) / max(done, 1)
        return f"  {left_s:.0f} s left"


def terminate_as_interrupt() -> None:
    """Makes SIGTERM end the program as Ctrl-C does: cleanly, with a word on how to go on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def fail(message: object, status: int = 2) -> None:
    """Prints one message to standard error and exits."""
    rich.console.Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {message}", markup=False)
    sys.exit(status)
