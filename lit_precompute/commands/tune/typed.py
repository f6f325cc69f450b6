"""lit-tune's arguments as they were typed: what has to be known of them before there are flags to parse them by."""

from __future__ import annotations

import re

# Flags of earlier versions and their current names.
_ALIASES = {"--loss.tile-rows": "--tile-rows", "--optimizer.name": "--optimizer.kind"}


def renamed(argument: str) -> str:
    """Returns an argument with the current name of its flag."""
    name, equals, value = argument.partition("=")
    return _ALIASES.get(name.replace("_", "-"), name) + equals + value


def given(arguments: list[str], flag: str) -> str | None:
    """Returns the value of a flag, from `--flag value` or `--flag=value`; None if it is absent."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            return value if equals else next(iter(arguments[place + 1 : place + 2]), None)
    return None


def without(arguments: list[str], flag: str) -> list[str]:
    """Returns the arguments without a flag and its value."""
    kept, is_value = list[str](), False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        is_flag = name.replace("_", "-") == flag
        if not is_flag and not is_value:
            kept.append(argument)
        is_value = is_flag and not equals
    return kept


def without_modules(arguments: list[str]) -> list[str]:
    """Returns the arguments with `--PART.kind module:name` as `name`: the module is already imported."""
    before = ["", *arguments]
    return [
        re.sub(r"^(--[\w.-]+\.kind=)?[\w.]+:(\w[\w-]*)$", r"\1\2", argument)
        if ".kind=" in argument or previous.endswith(".kind")
        else argument
        for previous, argument in zip(before, arguments, strict=False)
    ]
