"""What `lit-embed towers` and `lit-tune towers` share: a list, a shorter one by a pattern, one card, or JSON."""

import dataclasses
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import rich.console
import rich.table

from lit_precompute.commands.console import card, print_json

Description = TypeVar("Description")


def show(
    console: rich.console.Console,
    asked: str,
    *,
    as_json: bool,
    command: str,
    names: Sequence[str],
    describe: Callable[[str], Description],
    rows: Callable[[Sequence[Description]], rich.table.Table],
    details: Callable[[Description], dict[str, str]],
    report: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> None:
    """Prints the list of towers, or the card of one.

    Args:
      console: for people.
      asked: a tower's name, a pattern with *, or "" for all.
      as_json: whether to print JSON for programs instead.
      command: the command's name, for messages.
      names: of all towers.
      describe: returns the description of a name, a dataclass.
      rows: returns the list as a table.
      details: returns the lines of a card.
      report: is told the name of each tower before it is described, how many are done, and how many there are.

    Raises:
      ValueError: no tower has this name or matches the pattern.
    """
    is_list = is_pattern(asked)
    chosen = [name for name in names if fnmatch.fnmatchcase(name, asked or "*")] if is_list else [asked]
    if not chosen:
        raise ValueError(f"no tower's name matches {asked!r}; `{command}` lists all of them")
    descriptions: list[Description] = []
    for number, name in enumerate(chosen):
        report(name, number, len(chosen))
        descriptions.append(describe(name))
    if as_json:
        cards: list[Any] = [dataclasses.asdict(each) for each in descriptions]  # pyright: ignore[reportArgumentType]
        print_json(cards if is_list else cards[0])
    elif is_list:
        console.print(rows(descriptions))
        console.print(f"{len(descriptions)} towers; {command} NAME shows the card of one")
    else:
        console.print(card(details(descriptions[0]).items()))


def is_pattern(asked: str) -> bool:
    """Returns whether a list is asked for, and not a card."""
    return not asked or "*" in asked


def new_table(*columns: str, right: Sequence[str] = ()) -> rich.table.Table:
    """Returns an empty table whose first column holds towers' names; columns in `right` hold numbers."""
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("tower", overflow="fold", min_width=24)
    for column in columns:
        if column in right:
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column(column, overflow="fold", min_width=8)
    return table


def publisher(weights: str) -> str:
    """Returns the publisher of a file, short enough for a table."""
    scheme, _, rest = weights.partition("://")
    host, _, path = rest.partition("/")
    if scheme == "hf":
        return "Hugging Face"
    return f"{host}/{path.partition('/')[0]}" if host.startswith("storage.") else host
