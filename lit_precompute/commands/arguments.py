"""A command's arguments as they were typed, before anything parses them."""

import collections
import itertools
import os.path
import re
from collections.abc import Collection, Sequence

# Other names of flags, where a command has both.
_SAME = {"--range": "--rows", "--pictures": "--images"}
_ROWS = re.compile(r"--(?:rows|range)=")
_NUMBERS = re.compile(r"\d+(?:[-:,]\d+)?")
_AT_HOME = re.compile(r"(--[\w.-]+=)?(~(?:/.*)?)", re.DOTALL)


def expand_homes(arguments: list[str]) -> None:
    """Puts the home folder for `~` where the shell does not: in `--output=~/o` and in a quoted '~/data/*.tar'."""
    for position, argument in enumerate(arguments):
        if match := _AT_HOME.fullmatch(argument):
            arguments[position] = (match[1] or "") + os.path.expanduser(match[2])  # noqa: PTH111 -- keeps what is behind


def refuse_repeated(arguments: Sequence[str], others: Sequence[str] = (), *, repeatable: Collection[str] = ()) -> None:
    """Refuses a flag that is given twice, of which only the last value would count.

    Args:
      arguments: of the command.
      others: those among them that the command passes on: Beam has flags that may be repeated.
      repeatable: flags of which every value counts.

    Raises:
      ValueError: a flag of the command is given twice.
    """
    given = collections.Counter(_flags(arguments))
    given.subtract(_flags(others))
    if flag := next((flag for flag, count in given.items() if count > 1 and flag not in repeatable), None):
        raise ValueError(f"{flag} is given {given[flag]} times, and only one would count; give it once")


def check_rows(arguments: Sequence[str]) -> None:
    """Refuses a number of rows where lit-data takes a range, as `select` does, or a range where it takes a number.

    A folder at its end whose name is a number, as in `copy DATASET --rows 5 10`, is taken for the end of a range.

    Raises:
      ValueError: what was given is of the other kind.
    """
    command, *words = arguments[1:] or [""]
    expanded = [part for word in words for part in (word.split("=", 1) if _ROWS.match(word) else [word])]
    place = next((number for number, word in enumerate(expanded) if word in ("--rows", "--range")), None)
    if place is None:
        return
    given = list(itertools.takewhile(_NUMBERS.fullmatch, expanded[place + 1 : place + 3]))
    numbers = [number for word in given for number in re.split(r"[-:,]", word)]
    typed = " ".join([expanded[place], *given])
    if command == "select" and given and len(given) < 2:
        range_ = " ".join(numbers) if len(numbers) == 2 else f"0 {numbers[0]}"
        raise ValueError(
            f"{typed}: must be two numbers, the first row and the one after the last; --range {range_} selects the "
            f"rows from {range_.split()[0]} on and before {range_.split()[1]}"
        )
    if command != "select" and len(numbers) > 1:
        raise ValueError(
            f"{typed}: lit-data {command} takes a number of rows, not a range; `lit-data select DATASET --range "
            f"{' '.join(numbers)} --output FILE.selection` selects this one, for commands that have --selection"
        )


def stray_words(flags: Sequence[str]) -> str:
    """Returns what to say of words that belong to no flag, such as the files that a shell made of a pattern; or ""."""
    words = flags[: next((number for number, flag in enumerate(flags) if flag.startswith("-")), len(flags))]
    if not words:
        return ""
    more = f" and {len(words) - 1} more" if len(words) > 1 else ""
    return (
        f"{words[0]}{more}: an argument too many; put a pattern in quotes, such as 'data/*.tar', or the shell replaces "
        "it by all that it matches"
    )


def _flags(arguments: Sequence[str]) -> list[str]:
    """Returns the names of flags, one for all spellings: of --no-wait as of --wait, of --range as of --rows."""
    names = (argument.partition("=")[0] for argument in arguments if argument.startswith("--"))
    flags = (f"--{name[2:].replace('_', '-').removeprefix('no-')}" for name in names)
    return [_SAME.get(flag, flag) for flag in flags]
