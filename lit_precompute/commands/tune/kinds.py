"""Parts of a recipe that come in kinds: the kind that a flag selects, and a class whose flags are that kind's."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from lit_precompute.commands.tune.typed import given
from lit_precompute.towers.options import TaggedOptions, of_kind


def with_given_kinds(options: Any, arguments: list[str], path: str = "--") -> Any:
    """Returns options, a dataclass, with each part replaced by the kind that a flag selects, with that kind's defaults.

    Fields that all kinds of a part share, such as a learning rate, keep their values.
    """
    for name, part in _parts(options).items():
        flag = f"{path}{name.replace('_', '-')}"
        chosen = _chosen(part, arguments, flag) if isinstance(part, TaggedOptions) else part
        options = dataclasses.replace(options, **{name: with_given_kinds(chosen, arguments, f"{flag}.")})
    return options


def _chosen(part: TaggedOptions, arguments: list[str], flag: str) -> TaggedOptions:
    """Returns a part of the kind that a flag selects."""
    kind = given(arguments, f"{flag}.kind")
    return part if kind is None else of_kind(part, kind)


def _parts(options: Any) -> dict[str, Any]:
    """Returns the fields that are options themselves."""
    found = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return {name: part for name, part in found.items() if dataclasses.is_dataclass(part)}


def narrowed(options: Any) -> Any:
    """Returns equal options of a class whose parts are typed as their kinds, so that the flags are those kinds'."""
    parts = {name: narrowed(part) for name, part in _parts(options).items()}
    if not parts:
        return options
    made = dataclasses.make_dataclass(
        type(options).__name__,
        [(name, type(part), dataclasses.field(default=part)) for name, part in parts.items()],
        bases=(_Narrowed, type(options)),
        frozen=True,
        kw_only=True,
    )
    made.__doc__ = type(options).__doc__
    for name, part in parts.items():
        if isinstance(part, TaggedOptions):
            kinds = ", ".join(part.kinds.names())
            made.__doc__ = re.sub(rf"(\n +{name}: .*)\.", rf"\1; kinds: {kinds}.", made.__doc__ or "")
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return made(**own | parts)


class _Narrowed:
    """Marks a class that `narrowed` made; its second base is the options' own."""


def widened(options: Any) -> Any:
    """Returns the options that `narrowed` was given."""
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    own |= {name: widened(part) for name, part in _parts(options).items()}
    return type(options).__bases__[1](**own) if isinstance(options, _Narrowed) else options
