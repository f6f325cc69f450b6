"""Errors on their way from a worker to the launcher.

Runners hand over a worker's error as text, with Beam's stack in it. So a worker raises one sentence that says where and
what, and the launcher finds that sentence again, whatever the runner put around it.
"""

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any, TextIO, cast

from lit_precompute.schemas.wording import os_error_in_words

_STACK = "Traceback (most recent call last)"


class WorkerError(RuntimeError):
    """Something outside this program stopped a worker, such as a full disk: the message says all there is to say."""


class WorkerBugError(RuntimeError):
    """An error that no part of this program foresees stopped a worker: its traceback is needed, too."""


class EmbedError(RuntimeError):
    """The job stopped before the dataset was complete; finished shards are kept.

    Attributes:
      is_bug: whether the cause was not foreseen, so that its traceback should be shown.
    """

    def __init__(self, message: str, *, is_bug: bool = False):
        """Takes the message."""
        super().__init__(message)
        self.is_bug = is_bug


_FOUND = re.compile(
    rf"^(?:\w+\.)*({WorkerError.__name__}|{WorkerBugError.__name__}): (.*?)(?: \[while running .*\])?$", re.MULTILINE
)


@contextlib.contextmanager
def located(where: str, output: str) -> Iterator[None]:
    """Raises an error of the block as one sentence that begins with `where`.

    Args:
      where: what was being done.
      output: the job's output, for errors that name no file.
    """
    try:
        yield
    except Exception as error:  # of any type: a custom tower's, a driver's
        sentence, is_bug = in_words(error, output)
        kind = WorkerBugError if is_bug else WorkerError
        raise kind(" ".join(f"{where}: {sentence}".split())) from error


def in_words(error: BaseException, output: str) -> tuple[str, bool]:
    """Returns an error's cause as a sentence, and whether nothing in this program foresees it."""
    found = _FOUND.findall("".join(traceback.format_exception(error)))
    if found:
        kind, sentence = found[-1]
        return sentence.rstrip("."), kind == WorkerBugError.__name__
    if isinstance(error, OSError):
        return os_error_in_words(error, output), False
    if type(error).__module__.startswith("lit_precompute."):  # errors of our own are written to be read
        return str(error).rstrip("."), False
    last_line = next(reversed(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {last_line}", True


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
