"""Threads that do one piece of work after another, and none of them for ever.

Promises: results come in the order of the items. A stage of the work (a read, a decoding) that takes too long is given
up: its item gets the result for that, what it held is free for others, and another thread takes the place of the one
that does not return. A bounded number of threads may be lost in this way; then it is an error. They do not keep the
process from ending. Where nothing is too slow, results do not depend on the time that is allowed.

How: whoever waits for a result counts the time, so that it only passes while the work is waited for, and not while this
process is stopped or suspended. Waiting for one's turn (`Work.holding`) is part of no stage.
"""

from __future__ import annotations

import collections
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from lit_precompute.precompute.images.reused_threads import ReusedThreads
from lit_precompute.precompute.images.work import Work

Item = TypeVar("Item")
Result = TypeVar("Result")

# Each may hold an encoded and a decoded image, or burn a core, as long as the process lives.
MAX_STUCK = 8
_LONGEST_LOOK_S = 1.0
# Items that are taken before the threads get them.
_AT_ONCE = 8
_LOOKS = 20


class StuckError(RuntimeError):
    """Too many threads of this process do not return from a read or a decoding."""


class TimedThreads(Generic[Item, Result]):
    """Threads that apply a function to items; see the module."""

    def __init__(
        self,
        function: Callable[[Work, Item], Result],
        *,
        num_threads: int,
        ahead: int,
        timeout_s: float,
        too_slow: Callable[[str], Result],
    ):
        """Starts nothing yet.

        Args:
          function: says what it is doing by `Work.stage_of`.
          num_threads: number of threads, in each use.
          ahead: items that may be in progress or waiting.
          timeout_s: how long a stage may be waited for.
          too_slow: returns the result of an item whose stage (its name) took longer.
        """
        self._function, self._too_slow = function, too_slow
        self._num_threads, self._ahead, self._timeout_s = num_threads, ahead, timeout_s
        self._half = max(ahead // 2, 1)
        self._look_s = min(_LONGEST_LOOK_S, timeout_s / _LOOKS)
        self._num_stuck, self._lock = 0, threading.Lock()
        self._threads = ReusedThreads("decode")

    def map(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yields the function's result for each item, in order; what it raises is raised in that place.

        Raises:
          StuckError: too many threads do not return.
        """
        self._check_stuck(0)
        remaining, waiting = iter(items), collections.deque[_Task[Item, Result]]()
        use = _Use(self._function, self._threads, self._num_threads, self._returned)
        try:
            while True:
                # Half at a time: to wake others up, or be woken up, for each takes a tenth of the time of two decoders.
                if len(waiting) <= self._ahead - self._half:
                    self._fill(waiting, use, remaining)
                if not waiting:
                    return
                if not waiting[0].is_done:
                    self._wait(use, waiting[min(self._half, len(waiting)) - 1])
                task = waiting.popleft()
                if not task.is_done:
                    self._wait(use, task)
                yield task.take()
        finally:
            use.close()
            self._wait(use, None)

    def _fill(
        self, waiting: collections.deque[_Task[Item, Result]], use: _Use[Item, Result], remaining: Iterator[Item]
    ) -> None:
        while (room := self._ahead - len(waiting)) > 0:
            tasks = use.submit(itertools.islice(remaining, min(room, _AT_ONCE)))
            if not tasks:
                return
            waiting += tasks

    def _wait(self, use: _Use[Item, Result], task: _Task[Item, Result] | None) -> None:
        """Waits for a task, or at the end for all that are in progress; gives up what is too slow."""
        looked_s = time.monotonic()
        while not use.wait(task, self._look_s):
            now_s = time.monotonic()
            passed_s, looked_s = min(now_s - looked_s, 2 * self._look_s), now_s
            for each in use.in_progress():
                stage = each.work.stage
                if stage is None:
                    continue
                stage.waited_s = 0.0 if stage.waited_s is None else stage.waited_s + passed_s
                if stage.waited_s > self._timeout_s and each.work.give_up(stage):
                    use.give_up(each, self._too_slow(stage.name))
                    self._check_stuck(1, raises=task is not None)

    def _check_stuck(self, more: int, *, raises: bool = True) -> None:
        with self._lock:
            self._num_stuck += more
            num_stuck = self._num_stuck
        if raises and num_stuck >= MAX_STUCK:
            raise StuckError(
                f"{num_stuck} images of this process were neither read nor decoded within {self._timeout_s:g} s each, "
                "and still occupy it: a disk or server does not answer, or images keep their decoder busy; run the "
                "command again once that is mended, or give a longer --timeout-per-image"
            )

    def _returned(self) -> None:
        """Counts a thread that was given up and has returned."""
        with self._lock:
            self._num_stuck -= 1


class _Task(Generic[Item, Result]):
    """An item, and what became of it."""

    __slots__ = ("_error", "_result", "is_done", "item", "work")

    def __init__(self, item: Item):
        self.item: Item | None = item
        self.work = Work()
        self.is_done = False
        self._result: list[Result] = []
        self._error: BaseException | None = None

    def run(self, function: Callable[[Work, Item], Result]) -> None:
        item, self.item = self.item, None
        assert item is not None
        try:
            self._result.append(function(self.work, item))
        except BaseException as error:  # noqa: BLE001 -- raised where the result is taken
            self._error = error

    def finish(self, result: Result) -> None:
        self._result = [result]

    def take(self) -> Result:
        if self._error is not None and not self.work.is_given_up:
            raise self._error
        return self._result.pop(0)


class _Use(Generic[Item, Result]):
    """The threads of one use, and their tasks."""

    def __init__(
        self,
        function: Callable[[Work, Item], Result],
        threads: ReusedThreads,
        num_threads: int,
        returned: Callable[[], None],
    ):
        self._function, self._returned = function, returned
        self._threads, self._num_threads = threads, num_threads
        self._lock = threading.Lock()
        self._new_task, self._done = threading.Condition(self._lock), threading.Condition(self._lock)
        self._queue, self._in_progress = collections.deque[_Task[Item, Result]](), set[_Task[Item, Result]]()
        self._num_alive = 0
        self._awaited: _Task[Item, Result] | None = None
        self._is_closed = False

    def submit(self, items: Iterable[Item]) -> list[_Task[Item, Result]]:
        """Queues items for the threads."""
        tasks = [_Task[Item, Result](item) for item in items]
        with self._lock:
            self._queue += tasks
            self._new_task.notify(len(tasks))
            for _ in range(min(len(tasks), self._num_threads - self._num_alive)):
                self._start()
        return tasks

    def wait(self, task: _Task[Item, Result] | None, timeout_s: float) -> bool:
        """Waits a while; returns whether the task is done, or (None) whether the threads have ended."""
        with self._lock:
            self._awaited = task
            if not self._is_over(task):
                self._done.wait(timeout_s)
            return self._is_over(task)

    def in_progress(self) -> list[_Task[Item, Result]]:
        """Returns the tasks that threads are at."""
        with self._lock:
            return list(self._in_progress)

    def give_up(self, task: _Task[Item, Result], result: Result) -> None:
        """Gives a task that was given up its result, and its place to another thread."""
        with self._lock:
            task.finish(result)
            task.is_done = True
            self._in_progress.discard(task)
            self._num_alive -= 1
            if not self._is_closed:
                self._start()

    def close(self) -> None:
        """Drops what no thread has begun."""
        with self._lock:
            self._queue.clear()
            self._is_closed = True
            self._new_task.notify_all()

    def _is_over(self, task: _Task[Item, Result] | None) -> bool:
        return self._num_alive == 0 if task is None else task.is_done

    def _start(self) -> None:
        self._threads.run(self._work)  # waits for the lock; raises where the system has no more threads
        self._num_alive += 1

    def _work(self) -> None:
        task = self._next(None)
        while task is not None:
            task.run(self._function)
            task = self._next(task)

    def _next(self, done: _Task[Item, Result] | None) -> _Task[Item, Result] | None:
        """Takes note of a task that has been worked on, and returns the next; None if the thread is to end."""
        with self._lock:
            if done is not None and done.work.is_given_up:
                self._returned()
                return None
            if done is not None:
                done.is_done = True
                self._in_progress.discard(done)
                if done is self._awaited:
                    self._done.notify_all()
                del done  # it holds an image
            while not self._queue and not self._is_closed:
                self._new_task.wait()
            if not self._queue:
                self._num_alive -= 1
                self._done.notify_all()
                return None
            task = self._queue.popleft()
            self._in_progress.add(task)
            return task
