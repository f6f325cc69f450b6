"""What the commands share: the console, error messages, formatted numbers, cards and JSON."""

import contextlib
import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import rich.console
import rich.table
import rich.text

from lit_precompute.precompute.extra import EMBED_MODULES, needs_embed_extra
from lit_precompute.schemas.storage import is_full_disk


def make_console(*, stderr: bool = False) -> rich.console.Console:
    """Returns a console that prints text unchanged: no markup, emoji codes, highlighting or wrapping."""
    return rich.console.Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)


def fail(message: object, status: int = 2) -> NoReturn:
    """Prints one message to standard error and exits."""
    make_console(stderr=True).print(f"error: {message}")
    sys.exit(status)


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turns wrong input (a tower, source, option, dataset, model or file) into one message and exit status 2.

    The same goes for a missing extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in EMBED_MODULES:
            raise
        fail(needs_embed_extra(error.name))
    except (ValueError, OSError) as error:
        fail(error, status=1 if is_full_disk(error) else 2)


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


def counted(number: int, noun: str) -> str:
    """Returns "1 shard", "2 shards", "1,024 shards"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
        table.add_row(rich.text.Text(name, style="bold"), rich.text.Text(value))
    return table


def print_json(content: Any, *, sort_keys: bool = False) -> None:
    """Prints JSON for programs."""
    sys.stdout.write(json.dumps(content, indent=1, sort_keys=sort_keys) + "\n")
