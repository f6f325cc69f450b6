"""What the commands share: the console, error messages, `--debug`, durations, cards and JSON."""

import contextlib
import importlib
import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import rich.console
import rich.segment
import rich.table
import rich.text

from lit_precompute.commands.arguments import stray_words
from lit_precompute.commands.pipes import end_quietly, is_output_closed
from lit_precompute.precompute.extra import EMBED_MODULES, needs_embed_extra
from lit_precompute.schemas.storage import telling_of_retries
from lit_precompute.schemas.wording import is_full_disk, one_line, os_error_in_words, visible

_DEBUG = "--debug"
DEBUG_HELP = f"{_DEBUG}, anywhere on the command line, shows tracebacks of errors and the libraries' logs."
_LOGGER = logging.getLogger("lit_precompute")
_UNLIMITED = 1_000_000  # characters of a line off a terminal


class _Console(rich.console.Console):
    """Whatever it prints, text of a file cannot steer the terminal, and a pipe that closes ends the program quietly.

    Off a terminal tables are as wide as what is in them: a program that reads them, or a log, gets each value whole.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        if self.is_terminal or not any(isinstance(each, rich.table.Table) for each in objects):
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        # Cells are padded to their column's width.
        super().print("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[rich.segment.Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else rich.segment.Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        end_quietly()


def make_console(*, stderr: bool = False) -> rich.console.Console:
    r"""Returns a console that prints text as it is: no markup, emoji codes, highlighting or wrapping.

    Only what a terminal would obey is shown by its number instead, as `\x1b`; only on a terminal are tables folded.
    """
    console = _Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNLIMITED
    return console


def take_debug_flag(arguments: list[str]) -> None:
    """Removes `--debug` from a command's arguments; if it was there, logs and tracebacks are shown from here on."""
    if _DEBUG in arguments:
        arguments[:] = [argument for argument in arguments if argument != _DEBUG]
        logging.basicConfig(level=logging.INFO)
        _LOGGER.setLevel(logging.DEBUG)


def is_debugging() -> bool:
    """Returns whether `--debug` was given."""
    return _LOGGER.level == logging.DEBUG  # its own: libraries may change the root's


def fail(message: object, status: int = 2, *, with_traceback: bool = False) -> NoReturn:
    """Prints one message to standard error and exits; before it the traceback if wanted, here or by `--debug`."""
    if (with_traceback or is_debugging()) and sys.exc_info()[0] is not None:
        traceback.print_exc()
    make_console(stderr=True).print(f"error: {message}")
    sys.exit(status)


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turns wrong input (a tower, source, option, dataset, model or file) into one message and exit status 2.

    The same goes for a missing extra. Says on standard error when a server is asked again and again.
    """
    try:
        with telling_of_retries(make_console(stderr=True).print):
            yield
    except ModuleNotFoundError as error:
        if error.name not in EMBED_MODULES:
            raise
        fail(needs_embed_extra(error.name))
    except OSError as error:
        if isinstance(error, BrokenPipeError) and is_output_closed():
            end_quietly()
        fail(os_error_in_words(error), status=1 if is_full_disk(error) else 2)
    except ValueError as error:
        fail(error, status=1 if is_full_disk(error) else 2)


@contextlib.contextmanager
def writing_to(output: str) -> Iterator[None]:
    """Has the error of a full disk name the output's file system where it names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and is_full_disk(error):
            raise OSError(os_error_in_words(error, output)) from error
        raise


def refuse_flags(command: str, flags: Sequence[str]) -> None:
    """Raises ValueError if a command that takes no flags of Beam's got unknown ones."""
    if flags:
        raise ValueError(stray_words(flags) or f"unknown options {' '.join(flags)}; see {command} --help")


def find_modules_here() -> None:
    """Makes modules in the working directory importable; last on the path, so that they shadow nothing installed."""
    sys.path.append("")


def import_modules(names: Iterable[str]) -> None:
    """Imports the user's modules, which register towers and other parts.

    Raises:
      ValueError: a module is not found.
    """
    find_modules_here()
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ValueError(f"--module {name}: {error}; add its folder to PYTHONPATH") from error


def duration(seconds: float) -> str:
    """Returns `12 s`, `3 min 05 s` or `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def card(rows: Iterable[tuple[str, str]]) -> rich.table.Table:
    """Returns a table of names and values, one pair per line; long values are folded, not cut."""
    table = rich.table.Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(rich.text.Text(one_line(name), style="bold"), rich.text.Text(one_line(value)))
    return table


def print_json(content: Any, *, sort_keys: bool = False) -> None:
    """Prints JSON for programs."""
    sys.stdout.write(json.dumps(content, indent=1, sort_keys=sort_keys) + "\n")
