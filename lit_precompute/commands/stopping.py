"""Ctrl-C and SIGTERM: a long command stops cleanly, says how to resume, and exits with status 130."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import rich.console

from lit_precompute.commands.console import fail

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible(how_to_resume: str) -> Iterator[None]:
    """Makes SIGTERM end the block like Ctrl-C: with one message that says how to resume.

    While the program then ends, another of them kills it without a word.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        before = signal.SIG_DFL
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fail(f"interrupted; {how_to_resume}", INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_interrupt() -> None:
    """Stops the program immediately, running clean-up."""
    raise KeyboardInterrupt


class StopRequest:
    """Makes the first Ctrl-C or SIGTERM request a stop after the work in progress; the second stops immediately.

    Calling the object returns whether a stop was requested. After the `with` block signals act as before; where the
    stop ends the program, they kill it without a word.
    """

    def __init__(
        self,
        console: rich.console.Console,
        *,
        after: str,
        stop_at_once: Callable[[], None] = raise_interrupt,
    ):
        """Takes where to print, what is still finished (`this step`), and what a second signal does."""
        self._console, self._after, self._stop_at_once = console, after, stop_at_once
        self._is_requested = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        """Returns whether a stop was requested."""
        return self._is_requested

    def __enter__(self) -> "StopRequest":
        """Installs the signal handlers."""
        self._before = {number: signal.signal(number, self._request) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Restores the previous handlers, unless the program ends."""
        is_ending = self._is_requested and kind is not None and issubclass(kind, SystemExit)
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if is_ending else handler)  # pyright: ignore[reportArgumentType] -- what signal.signal returned

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self._is_requested:
            self._stop_at_once()
        self._is_requested = True
        self._console.print(f"stopping after {self._after}; interrupt again to stop immediately")
