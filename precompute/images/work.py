"""One item in the hands of a thread: the stage of the work, and what it holds, which both end if it is given up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager


class GivenUpError(Exception):
    """The work that is being done is not waited for any more."""


class Stage:
    """What a thread is doing, and how long it was waited for.

    A context manager of its own, because a generator would take three times as long, and each image has several.
    """

    __slots__ = ("_work", "name", "waited_s")

    def __init__(self, work: Work, name: str):
        self.name = name
        self.waited_s: float | None = None  # until it is first seen
        self._work = work

    def __enter__(self) -> None:
        self._work.enter(self)

    def __exit__(self, *_: object) -> None:
        self._work.enter(None)


class Work:
    """One item in the hands of a thread: the stage it is in, and what it holds."""

    def __init__(self) -> None:
        """Is in no stage, and holds nothing."""
        self._lock = threading.Lock()
        self._held: contextlib.ExitStack | None = None
        self.stage: Stage | None = None
        self.is_given_up = False

    def stage_of(self, name: str) -> AbstractContextManager[None]:
        """Returns a block during which it is in a stage."""
        return Stage(self, name)

    def enter(self, stage: Stage | None) -> None:
        """Enters a stage, or leaves it.

        Raises:
          GivenUpError: it was given up.
        """
        with self._lock:
            self._check()
            self.stage = stage

    @contextlib.contextmanager
    def holding(self, room: AbstractContextManager[None]) -> Iterator[None]:
        """Holds something during the block; waiting for it is part of no stage."""
        with contextlib.ExitStack() as entered:
            entered.enter_context(room)
            with self._lock:
                self._check()
                self._held = self._held or contextlib.ExitStack()  # there is one already within another block
                self._held.push(entered.pop_all())
        try:
            yield
        finally:
            self._release()

    def give_up(self, stage: Stage) -> bool:
        """Gives the work up, unless it has left the stage; returns whether."""
        with self._lock:
            if self.stage is not stage:
                return False
            self.is_given_up = True
        self._release()
        return True

    def _check(self) -> None:
        if self.is_given_up:
            raise GivenUpError

    def _release(self) -> None:
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            held.close()
