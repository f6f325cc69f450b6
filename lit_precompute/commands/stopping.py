"""Ctrl-C and SIGTERM: a long command stops cleanly, says how to go on, and exits with status 130."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import rich.console

from lit_precompute.commands.console import fail

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Makes SIGTERM end the block as Ctrl-C does: with one message that says how to go on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        fail(f"interrupted; {how_to_go_on}", INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_interrupt() -> None:
    """Stops this program at once, cleanly."""
    raise KeyboardInterrupt


class StopRequest:
    """Ctrl-C and SIGTERM as a request to stop when the work in hand is done; the second one stops at once.

    Called, it returns whether there was a request. Outside `with` the signals act as before.
    """

    def __init__(
        self,
        console: rich.console.Console,
        *,
        after: str,
        stop_at_once: Callable[[], None] = raise_interrupt,
    ):
        """Takes where to print, what is finished first (`this step`), and what a second signal does."""
        self._console, self._after, self._stop_at_once = console, after, stop_at_once
        self._is_requested = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        """Returns whether a stop was requested."""
        return self._is_requested

    def __enter__(self) -> "StopRequest":
        """Takes the signals over."""
        self._before = {number: signal.signal(number, self._request) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Gives them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType] -- what signal.signal returned

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self._is_requested:
            self._stop_at_once()
        self._is_requested = True
        self._console.print(f"stopping after {self._after}; once more to stop at once")
