"""Output into a pipe that closes early, as with `| head`: the command ends without a word."""

import contextlib
import os
import pathlib
import select
import sys
from collections.abc import Iterator
from typing import NoReturn, TextIO

# 128 and the number of SIGPIPE: what a shell reports of a program that the signal ended. The signal itself stays off,
# because it would also end a program whose network connection is lost.
CLOSED_PIPE = 141


@contextlib.contextmanager
def quiet_when_pipe_closes() -> Iterator[None]:
    """Ends the program with status 141 once nobody reads its output; wraps the whole of a command."""
    with pathlib.Path(os.devnull).open("w") as nowhere:
        # None if the shell has closed it, as with >&-
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
        with _quiet():
            yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # what is flushed after the end of the program fails loudly
    except BrokenPipeError:
        if not is_output_closed():
            raise
        end_quietly()


def is_output_closed() -> bool:
    """Returns whether standard output or standard error is a pipe that nobody reads any more."""
    return any(map(_is_closed, (sys.stdout, sys.stderr)))


def end_quietly() -> NoReturn:
    """Ends the program; what is still buffered goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if _is_closed(stream):
            os.dup2(nowhere, stream.fileno())
    sys.exit(CLOSED_PIPE)


def _is_closed(stream: TextIO) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # not a file of the system, as in a notebook; or closed by its owner
        return False
