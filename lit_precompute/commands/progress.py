"""Progress of everything that takes long: a bar on a terminal or below a notebook's cell, lines in a log."""

import html
import importlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import rich.console
import rich.progress

_LINE_EVERY_S = 10.0


class Display(Protocol):
    """Something that shows progress."""

    def show(self, words: str, done: float, total: float | None, *, task: str = "") -> None:
        """See `ProgressDisplay.show`."""
        ...


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
        self._is_done: dict[str, bool] = {}

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
        was_done, self._is_done[task] = self._is_done.get(task, False), done == total
        if was_done and done == total:
            return  # said before
        if task not in self._last_line_s or now_s - self._last_line_s[task] >= _LINE_EVERY_S or done == total:
            self._last_line_s[task] = now_s
            self._console.print(words)

    def _show_bar(self, words: str, done: float, total: float | None, task: str) -> None:
        if task not in self._tasks:
            self._bars.start()
            self._tasks[task] = self._bars.add_task(words, total=total)
        self._bars.update(self._tasks[task], description=words, completed=done, total=total)


def is_notebook() -> bool:
    """Returns whether this process is the kernel of a notebook."""
    return rich.console.Console().is_jupyter


class NotebookDisplay:
    """A bar per task below a notebook's cell. Needs no widgets: what was displayed is updated."""

    def __init__(self) -> None:
        """Displays nothing before the first `show`."""
        # Only a notebook's kernel has it.
        self._display: Callable[..., Any] = importlib.import_module("IPython.display").display
        self._handles: dict[str, Any] = {}
        self._shown: dict[str, dict[str, str]] = {}

    def __enter__(self) -> "NotebookDisplay":
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the bars as they are."""

    def show(self, words: str, done: float, total: float | None, *, task: str = "") -> None:
        """See `ProgressDisplay.show`."""
        value = f' value="{done:g}" max="{total:g}"' if total else ""
        bar = f"<progress{value}></progress> <code>{html.escape(words)}</code>"
        shown = {"text/plain": words, "text/html": bar}
        if task not in self._handles:
            self._handles[task] = self._display(shown, raw=True, display_id=True)
        elif shown != self._shown[task]:
            self._handles[task].update(shown, raw=True)
        self._shown[task] = shown
