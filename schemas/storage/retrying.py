"""Trying again: what a server or a network broke is repeated after a growing pause, a bounded number of times.

Promises: an error about one file is raised at once; an error that persists becomes a `StorageError` that says how often
it was tried. The reads that needed more than one attempt are counted, in each process for itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from lit_precompute.schemas.storage.answers import Answer, StorageError, answer_of

Result = TypeVar("Result")

# At a server whose name is not known; a name server may overlook a name for a moment.
_ATTEMPTS_AT_UNKNOWN_HOST = 3
# After what passes at once, nothing is said; and not of each of the many reads that fail together.
_SAID_FROM_ATTEMPT, _SAID_EVERY_S = 2, 5.0
# Of the disk that a file is copied to, not of the server.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to try.

    Attributes:
      max_attempts: attempts at one read.
      first_pause_s: longest pause after the first attempt; it doubles with each further one.
      max_pause_s: longest pause, also where the server asks for more (Retry-After).
      max_total_s: no attempt begins later than this after the first, except the second.
      timeout_s: how long a connection may be silent.
      max_part_s: how long a store may take to send a part of a file, also if it is never silent. Parts have up to 16
        MiB, so that this is met by a line of 28 KB/s.
      clock: returns seconds.
      sleep: waits for so many seconds.
      draw: returns a random number in [0, 1); half of each pause is random, so that many readers do not return at once.
    """

    max_attempts: int = 6
    first_pause_s: float = 0.5
    max_pause_s: float = 30.0
    max_total_s: float = 120.0
    timeout_s: float = 60.0
    max_part_s: float = 600.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random

    def pause_s(self, attempt: int, wait_s: float) -> float:
        """Returns the pause after an attempt, numbered from 1, when the server asks to wait for `wait_s`."""
        pause_s = self.first_pause_s * 2 ** (attempt - 1) * (1 + self.draw()) / 2
        return min(max(pause_s, wait_s), self.max_pause_s)


DEFAULT_PATIENCE = Patience()


def with_patience(url: str, attempt: Callable[[], Result], patience: Patience = DEFAULT_PATIENCE) -> Result:
    """Returns the result of the first attempt that succeeds.

    Raises:
      FileNotFoundError: there is no such file.
      PermissionError: the server refuses this file.
      StorageError: the server or store did not answer, however often it was asked, or cannot be used.
      OSError: the local disk that it is copied to is full or write-protected.
    """
    started_s = patience.clock()
    for number in itertools.count(1):
        try:
            return attempt()
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # each file system raises its own
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise
            answer = answer_of(error)
            if answer.kind != "later":
                raise answer.as_error(url) from error
            pause_s = patience.pause_s(number, answer.wait_s)
            passed_s = patience.clock() - started_s
            is_late = passed_s + pause_s > patience.max_total_s
            max_attempts = patience.max_attempts
            if answer.is_unknown_host:
                max_attempts = min(max_attempts, _ATTEMPTS_AT_UNKNOWN_HOST)
            if number >= max_attempts or (is_late and number > 1):
                words = f"{answer.words}, after {number} attempts in {passed_s:.0f} s"
                words += "; check the server's name, and this machine's network" if answer.is_unknown_host else ""
                raise Answer(kind="later", words=words).as_error(url) from error
            if number == 1:
                count_retried(1)
            if number >= _SAID_FROM_ATTEMPT:
                line = f"{url}: {answer.words}; attempt {number + 1} of {max_attempts} in {pause_s:.0f} s"
                _say(line, patience.clock())
        patience.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


_lock = threading.Lock()
_listener: Callable[[str], None] | None = None
_last_said_s = -math.inf


@contextlib.contextmanager
def telling_of_retries(say: Callable[[str], None]) -> Iterator[None]:
    """Calls `say` in this process with a line, now and then, when a read is tried again and again."""
    global _listener, _last_said_s  # noqa: PLW0603 -- reads in all threads tell of it
    before, _listener, _last_said_s = _listener, say, -math.inf
    try:
        yield
    finally:
        _listener = before


def _say(line: str, now_s: float) -> None:
    global _last_said_s  # noqa: PLW0603
    with _lock:
        if _listener is None or now_s - _last_said_s < _SAID_EVERY_S:
            return
        _last_said_s = now_s
        _listener(line)


_num_retried = 0


def num_retried() -> int:
    """Returns how many reads of this process had to be tried again, since it began."""
    return _num_retried


def count_retried(number: int) -> None:
    """Adds to `num_retried`, for example what another process has counted. Thread-safe."""
    global _num_retried  # noqa: PLW0603 -- openers are pickled, so they cannot share an object
    with _lock:
        _num_retried += number
