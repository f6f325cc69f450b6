"""Progress of every long command: a bar on a terminal, lines in a log."""

import time
from collections.abc import Callable
from types import TracebackType

import rich.console
import rich.progress

_LINE_EVERY_S = 10.0


class ProgressDisplay:
    """A bar per task on a terminal; elsewhere a line when a task begins, every ten seconds, and when it is done.

    Prints nothing before the first `show`.
    """

    def __init__(self, console: rich.console.Console, clock: Callable[[], float] = time.monotonic):
        """Prints to this console."""
        self._console, self._clock = console, clock
        columns = (rich.progress.BarColumn(), rich.progress.TextColumn("{task.description}", markup=False))
        self._bars = rich.progress.Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, rich.progress.TaskID] = {}
        self._last_line_s: dict[str, float] = {}

    def __enter__(self) -> "ProgressDisplay":
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the bars."""
        self._bars.stop()

    def show(self, words: str, done: float, total: float | None, *, task: str = "") -> None:
        """Shows the progress of a task.

        Args:
          words: the line, figures included.
          done: how much of it is done.
          total: how much there is in all; None when unknown.
          task: name of the task, where one display shows several.
        """
        if self._console.is_terminal:
            self._show_bar(words, done, total, task)
            return
        now_s = self._clock()
        if task not in self._last_line_s or now_s - self._last_line_s[task] >= _LINE_EVERY_S or done == total:
            self._last_line_s[task] = now_s
            self._console.print(words)

    def _show_bar(self, words: str, done: float, total: float | None, task: str) -> None:
        if task not in self._tasks:
            self._bars.start()
            self._tasks[task] = self._bars.add_task(words, total=total)
        self._bars.update(self._tasks[task], description=words, completed=done, total=total)
