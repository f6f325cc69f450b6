"""Threads that are used again: a new one gets a heap of its own, and each of its pages from the system.

Promises: whatever is given to run begins at once, in an idle thread or in a new one. A thread that has been idle for a
while ends. None of them keeps the process from ending, unlike those of `concurrent.futures`.
"""

import collections
import threading
from collections.abc import Callable

_IDLE_S = 10.0


class ReusedThreads:
    """Threads that run one function after another; see the module."""

    def __init__(self, name: str):
        """Starts nothing yet."""
        self._name, self._change = name, threading.Condition()
        self._waiting, self._num_idle = collections.deque[Callable[[], None]](), 0

    def run(self, function: Callable[[], None]) -> None:
        """Runs a function, which must raise nothing, in a thread.

        Raises:
          RuntimeError: the system has no more threads; then the function is not run.
        """
        with self._change:
            self._waiting.append(function)
            if self._num_idle >= len(self._waiting):
                self._change.notify()
                return
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError:
            with self._change:
                if function in self._waiting:  # or a thread that has become idle runs it
                    self._waiting.remove(function)
                    raise

    def _work(self) -> None:
        while (function := self._next()) is not None:
            function()
            del function  # what it refers to is not needed while the thread is idle

    def _next(self) -> Callable[[], None] | None:
        with self._change:
            self._num_idle += 1
            self._change.wait_for(lambda: self._waiting, _IDLE_S)
            self._num_idle -= 1
            return self._waiting.popleft() if self._waiting else None
