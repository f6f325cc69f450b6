"""What lit-tune and lit-eval say: progress on a terminal or in a log, results, and errors in one line."""

import logging
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import rich.console
import rich.progress
import rich.table

if TYPE_CHECKING:  # importing it takes seconds, and `--help` needs none of it
    from lit_precompute.tune.training.trainer import Progress

_LINE_EVERY_S = 10.0


class ProgressDisplay:
    """A bar on a terminal; elsewhere a line now and then, so that logs can be followed."""

    def __init__(self, console: rich.console.Console, clock: Callable[[], float] = time.monotonic):
        """Shows on this console."""
        self._console, self._clock = console, clock
        self._last_line_s = -_LINE_EVERY_S
        columns = ("{task.description}", rich.progress.BarColumn(), "{task.completed}/{task.total} steps")
        self._bar = rich.progress.Progress(*columns, console=console, disable=not console.is_terminal)
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

    def show(self, progress: "Progress") -> None:
        """Shows where the run stands."""
        words = describe(progress)
        if self._console.is_terminal:
            self._bar.update(self._task, description=words, completed=progress.step, total=progress.num_steps)
            return
        now = self._clock()
        if now - self._last_line_s >= _LINE_EVERY_S or progress.step == progress.num_steps:
            self._last_line_s = now
            self._console.print(f"step {progress.step:,}/{progress.num_steps:,}  {words}")


def describe(progress: "Progress") -> str:
    """Returns loss, scale, rate and time left in a line."""
    metrics = progress.metrics
    rate = metrics["pairs_per_second"]
    left_s = (progress.num_steps - progress.step) * progress.batch_size / rate
    words = f"loss {metrics['loss']:.4f}  scale {metrics['scale']:.1f}  {rate:,.0f} pairs/s"
    return f"{words}  {_duration(left_s)} left" if progress.step < progress.num_steps else words


def _duration(seconds: float) -> str:
    """Returns `12 s`, `3 min 05 s` or `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def table(rows: dict[str, str]) -> rich.table.Table:
    """Returns names and values, one pair a line."""
    grid = rich.table.Table.grid(padding=(0, 2))
    for name, value in rows.items():
        grid.add_row(name, value)
    return grid


class StopRequest:
    """Ctrl-C and SIGTERM as a request to stop after the running step; the second one stops at once.

    Called, it says whether there was one. Outside `with` the signals act as before.
    """

    def __init__(self, console: rich.console.Console):
        """Speaks on this console."""
        self._console = console
        self._asked = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        """Returns whether a stop was asked for."""
        return self._asked

    def __enter__(self) -> "StopRequest":
        """Takes the signals over."""
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        """Gives them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType] -- what signal.signal returned

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._console.print("stopping after this step; once more to stop at once")


def show_warnings() -> None:
    """Prints warnings of the libraries below to standard error, without the trappings of a log."""
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)


def terminate_as_interrupt() -> None:
    """Makes SIGTERM end the program as Ctrl-C does: cleanly, with a word on how to go on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def fail(message: object, status: int = 2) -> None:
    """Prints one message to standard error and exits."""
    rich.console.Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {message}", markup=False)
    sys.exit(status)
