"""Errors on their way from a worker to the launcher.

Runners hand over a worker's error as text, with Beam's stack in it. So a worker raises one sentence that says where and
what, and the launcher finds that sentence again, whatever the runner put around it.
"""

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO, cast

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.wording import os_error_in_words

_STACK = "Traceback (most recent call last)"


class WorkerError(RuntimeError):
    """Something outside this program stopped a worker, such as a full disk: the message says all there is to say."""


class NotPublishedError(RuntimeError):
    """All units have ended, and the dataset is not complete: the message says why, and what to do."""


class WorkerBugError(RuntimeError):
    """An error that no part of this program foresees stopped a worker: its traceback is needed, too."""


class WorkerSourceError(RuntimeError):
    """The source itself stopped a worker, because it has changed: the job cannot be resumed."""


class EmbedError(RuntimeError):
    """The job stopped before the dataset was complete; finished shards are kept.

    Attributes:
      is_bug: whether the cause was not foreseen, so that its traceback should be shown.
      is_hanging: whether a unit does not end, in a read for example, and would keep this process from ending.
    """

    is_hanging = False

    def __init__(self, message: str, *, is_bug: bool = False):
        """Takes the message."""
        super().__init__(message)
        self.is_bug = is_bug


class Cause(NamedTuple):
    """Why a job stopped.

    Attributes:
      sentence: the cause in words, without a full stop.
      is_bug: whether nothing in this program foresees it.
      is_final: whether the same command cannot resume the job.
      says_all: whether the sentence also says what to do.
    """

    sentence: str
    is_bug: bool = False
    is_final: bool = False
    says_all: bool = False


_WORDED = (WorkerError, WorkerBugError, WorkerSourceError, NotPublishedError)
_KINDS = "|".join(kind.__name__ for kind in _WORDED)
_FOUND = re.compile(rf"^(?:\w+\.)*({_KINDS}): (.*?)(?: \[while running .*\])?$", re.MULTILINE)


@contextlib.contextmanager
def located(where: str, output: str) -> Iterator[None]:
    """Raises an error of the block as one sentence that begins with `where`, or the `where` of a block within.

    Args:
      where: what was being done.
      output: the job's output, for errors that name no file.
    """
    try:
        yield
    except _WORDED:
        raise
    except Exception as error:  # of any type: a custom tower's, a driver's
        cause = in_words(error, output)
        kind = WorkerBugError if cause.is_bug else WorkerSourceError if cause.is_final else WorkerError
        raise kind(" ".join(f"{where}: {cause.sentence}".split())) from error


def in_words(error: BaseException, output: str, text: str = "") -> Cause:
    """Returns an error's cause.

    Args:
      error: what was raised.
      output: the job's, for errors that name no file.
      text: what else an engine says of it, among which a worker's sentence may be.
    """
    found = _FOUND.findall(text) or _FOUND.findall("".join(traceback.format_exception(error)))
    if found:
        kind, sentence = found[-1]
        return Cause(
            sentence.rstrip("."),
            is_bug=kind == WorkerBugError.__name__,
            is_final=kind == WorkerSourceError.__name__,
            says_all=kind == NotPublishedError.__name__,
        )
    if isinstance(error, OSError):
        return Cause(os_error_in_words(error, output))
    if type(error).__module__.startswith("lit_precompute."):  # errors of our own are written to be read
        return Cause(str(error).rstrip("."), is_final=isinstance(error, SourceError))
    last_line = next(reversed(str(error).strip().splitlines()), "")
    return Cause(f"{type(error).__name__}: {last_line}", is_bug=True)


@contextlib.contextmanager
def without_stacks() -> Iterator[None]:
    """Keeps the stacks that Beam's workers print, besides logging them, off standard error during the block."""
    before = sys.stderr
    sys.stderr = cast(TextIO, _WithoutStacks(before))
    try:
        yield
    finally:
        sys.stderr = before


class _WithoutStacks:
    """A stream that passes everything on but whole stacks, each printed in one piece."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._after_stack = False

    def write(self, text: str) -> int:
        is_stack = text.startswith(_STACK) and "apache_beam" in text
        is_its_end = self._after_stack and text == "\n"
        self._after_stack = is_stack
        return len(text) if is_stack or is_its_end else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
