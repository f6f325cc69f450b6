"""A command's arguments as they were typed, before anything parses them."""

import collections
import os.path
import re
from collections.abc import Collection, Sequence

# Other names of flags, where a command has both.
_SAME = {"--range": "--rows", "--pictures": "--images"}
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
