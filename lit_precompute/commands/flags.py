"""Nested options as flat flags: `--resolution`, not `--options.tower.resolution`."""

import dataclasses
import difflib
import inspect
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import tyro

# Flags that are not named like their fields, which are clear only within their part.
_NAMES = {
    "tower.name": "tower",
    "vector_type": "dtype",
    "source.path": "source",
    "source.format": "source-format",
    **{f"source.columns.{name}": f"{name}-column" for name in ("image", "text", "texts", "label", "key")},
    "source.columns.named": "named-text",
}
_SIMILAR = 0.75  # of 1, so that --batchsize is like --batch-size, and --source is like nothing of Beam's
NOTHING_FIXED: Mapping[str, Any] = {}


class Flag(NamedTuple):
    """A flag as its option declares it: `default` is `dataclasses.MISSING` where it has to be given."""

    name: str
    type: Any
    default: Any
    help: str


def flags_of(options: type, names: Mapping[str, str] = _NAMES, prefix: str = "") -> Iterator[Flag]:
    """Yields the flags that `flat_flags` gives to options; the arguments are the same."""
    hints = typing.get_type_hints(options)
    _, _, described = inspect.cleandoc(options.__doc__ or "").partition("Attributes:\n")
    for field in dataclasses.fields(options):
        path = prefix + field.name
        if dataclasses.is_dataclass(hints[field.name]):
            yield from flags_of(hints[field.name], names, f"{path}.")
            continue
        found = re.search(rf"^  {field.name}: (.*(?:\n {{4}}.*)*)", described, re.MULTILINE)
        words = " ".join(found[1].split()) if found else ""
        yield Flag(names.get(path, field.name.replace("_", "-")), hints[field.name], field.default, words)


def flat_flags(
    options: type,
    names: Mapping[str, str] = _NAMES,
    prefix: str = "",
    fixed: Mapping[str, Any] = NOTHING_FIXED,
    defaults: Mapping[str, Any] = NOTHING_FIXED,
) -> Any:
    """Returns the options' type, annotated so that tyro gives each field, nested ones included, one flat flag.

    Defaults, choices and help texts (the section Attributes) come from the options.

    Args:
      options: a dataclass; fields that are dataclasses are flattened as well.
      names: flags by dotted field path; other flags are named like their field.
      prefix: dotted path of the field that contains these options, with a trailing dot.
      fixed: values of fields that have no flag.
      defaults: values of flags that need not be given though their fields have no default, by dotted field path.
    """
    hints = typing.get_type_hints(options)
    parameters: list[inspect.Parameter] = []
    for field in dataclasses.fields(options):
        if field.name in fixed:
            continue
        path, default = prefix + field.name, field.default
        if dataclasses.is_dataclass(hints[field.name]):
            annotation = flat_flags(hints[field.name], names, f"{path}.", defaults=defaults)
        else:
            flag = names.get(path, field.name.replace("_", "-"))
            annotation = Annotated[hints[field.name], tyro.conf.arg(name=flag)]
        if default is dataclasses.MISSING:
            default = defaults.get(path, inspect.Parameter.empty)
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=annotation))

    def make(**values: Any) -> Any:
        return options(**fixed, **values)

    make.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] -- PEP 362
    make.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    # One line per field: tyro keeps a docstring's line breaks.
    make.__doc__ = re.sub(r"\n {4,}", " ", inspect.cleandoc(options.__doc__ or ""))
    return Annotated[options, tyro.conf.arg(name="", constructor=make)]


def flag_names(options: type, names: Mapping[str, str] = _NAMES, prefix: str = "") -> list[str]:
    """Returns the flags that `flat_flags` makes of the options, with their dashes."""
    hints = typing.get_type_hints(options)
    found: list[str] = []
    for field in dataclasses.fields(options):
        path = prefix + field.name
        if dataclasses.is_dataclass(hints[field.name]):
            found += flag_names(hints[field.name], names, f"{path}.")
        else:
            found.append(f"--{names.get(path, field.name.replace('_', '-'))}")
    return found


def did_you_mean(flag: str, known: Sequence[str]) -> str:
    """Returns "; did you mean --batch-size?" for a flag that is much like a known one, else ""."""
    name = flag.partition("=")[0].replace("_", "-")
    likely = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR)
    return f"; did you mean {likely[0]}?" if likely else ""
