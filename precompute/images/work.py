"""One item in the hands of a thread: the stage of the work, and what it holds, which both end if it is given up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager


class GivenUpError(Exception):
    """The work that is being done is not waited for any more."""


class Stage:
    """What a thread is doing, and how long it was waited for."""

    def __init__(self, name: str):
        self.name = name
        self.waited_s: float | None = None  # until it is first seen


class Work:
    """One item in the hands of a thread: the stage it is in, and what it holds."""

    def __init__(self) -> None:
        """Is in no stage, and holds nothing."""
        self._lock = threading.Lock()
        self._held = contextlib.ExitStack()
        self.stage: Stage | None = None
        self.is_given_up = False

    @contextlib.contextmanager
    def stage_of(self, name: str) -> Iterator[None]:
        """Is in a stage during the block."""
        self._enter(Stage(name))
        try:
            yield
        finally:
            self._enter(None)

    @contextlib.contextmanager
    def holding(self, room: AbstractContextManager[None]) -> Iterator[None]:
        """Holds something during the block; waiting for it is part of no stage."""
        with contextlib.ExitStack() as entered:
            entered.enter_context(room)
            with self._lock:
                self._check()
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

    def _enter(self, stage: Stage | None) -> None:
        with self._lock:
            self._check()
            self.stage = stage

    def _check(self) -> None:
        if self.is_given_up:
            raise GivenUpError

    def _release(self) -> None:
        with self._lock:
            held, self._held = self._held, contextlib.ExitStack()
        held.close()
