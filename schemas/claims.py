"""Where two JSON objects differ, in words: for refusing to go on with something else than was begun."""

from collections.abc import Iterator, Mapping
from typing import Any


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str]:
    """Returns, by dotted name, `V is there, W is asked` for each value that differs."""
    flat_found, flat_asked = dict(_flatten(found)), dict(_flatten(asked))
    return {
        name: f"{name} is {_short(flat_found.get(name))} there, {_short(flat_asked.get(name))} is asked"
        for name in sorted({*flat_found, *flat_asked})
        if flat_found.get(name) != flat_asked.get(name)
    }


def _flatten(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from _flatten({str(place): item for place, item in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
