"""Texts, labels and keys from JSON, in tables and in webdataset samples: the one home of these rules.

Promises: a missing value, null and NaN mean none. A text or label of an unusable type loses nothing but itself: it is
left out, and a note says so in a few words that many rows share. A key is strict: with a wrong one, rows would be mixed
up. The caller passes `fault`, which makes the error and adds the place.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Fault = Callable[[str], Exception]

_LARGEST_EXACT = 2**53  # above, a float no longer holds every whole number
_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD_SPACE = re.compile(r"^\s|\s$|\s/|/\s|\s\s|[^\S ]")
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


@dataclasses.dataclass(frozen=True)
class Words:
    """The texts, named texts and the label of an image, and notes about what was left out of them."""

    texts: tuple[str, ...] = ()
    named: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    label: str = ""
    notes: tuple[str, ...] = ()


def parse_json(text: str, fault: Fault, hint: str = "") -> Any:
    """Returns the value of a JSON text; NaN and Infinity, which Python's json module writes, are read too.

    Args:
      text: the JSON.
      fault: makes the error for a text that is not JSON, and for an object that repeats a key.
      hint: the end of the message if it is not JSON: what to do.
    """
    value, repeated = parse_json_as_it_is(text, fault, hint)
    if repeated is not None:
        raise fault(f"the key {short(repeated)} is repeated; give each key once (several texts: as a list)")
    return value


def parse_json_as_it_is(text: str, fault: Fault, hint: str = "") -> tuple[Any, str | None]:
    """Returns the value of a JSON text, and the first key that its object repeats, if any: the last value counts."""
    repeated: str | None = None

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        values = dict(pairs)
        repeated = None if len(values) == len(pairs) else _first_repeated(key for key, _ in pairs)
        return values

    try:
        value = json.loads(text, object_pairs_hook=to_object)
    except json.JSONDecodeError as error:
        raise fault(f"not JSON: {error}, in {short(text)}{hint}") from error
    except RecursionError as error:
        raise fault(f"JSON that is nested too deeply, {short(text)}") from error
    except ValueError as error:  # Python converts no longer ones
        raise fault(f"JSON with a number of over {sys.get_int_max_str_digits():,} digits, {short(text)}") from error
    return value, repeated if isinstance(value, dict) else None  # the outermost object is made last


def read_texts(values: Mapping[str, Any], name: str) -> tuple[list[str], list[str]]:
    """Returns (texts, notes): the string or strings under a key, without empty ones, and what was left out."""
    value = values.get(name)
    verb, items = ("contains", value) if isinstance(value, list) else ("is", [value])
    texts = [item for item in items if _is_text(item) and item]
    notes = [_left_out(name, verb, item) for item in items if not _is_text(item) and not _is_none(item)]
    return texts, notes


def read_label(values: Mapping[str, Any], name: str) -> tuple[str, list[str]]:
    """Returns (label, notes): the string or whole number under a key as a string, "" for none, and what was left out.

    A whole number written as 3.0 becomes "3.0", as the same label in a CSV file does.
    """
    value = values.get(name)
    if _is_none(value):
        return "", []
    if _is_text(value) or type(value) is int:
        return str(value), []
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT:
        return f"{value:.1f}", []
    return "", [_left_out(name, "is", value)]


def read_key(values: Mapping[str, Any], name: str, fault: Fault) -> str:
    """Returns the string or whole number under a key as a string; "" if there is no such key."""
    if name not in values:
        return ""
    value = values[name]
    if value == "" or _is_none(value):
        raise fault(f"key {name!r} is empty; give every row a key or none")
    if isinstance(value, str) or type(value) is int:
        return whole(str(value), name, fault)
    raise fault(f"{name!r} must be a string or a whole number, got {short(value)}")


def is_python(text: str, value: Any) -> bool:
    """Returns whether a text is img2dataset's rendering of a caption that is no string: "nan", "['a', 'b']"."""
    return text == str(value) and (isinstance(value, list) or (value is not None and _is_none(value)))


def whole(text: str, name: str, fault: Fault) -> str:
    """Returns the text; refuses half a surrogate pair, which JSON can express but UTF-8, hence a dataset, cannot."""
    if not _is_text(text):
        raise fault(f"{name!r} must not contain half a surrogate pair, got {short(text)}")
    return text


def short(value: Any) -> str:
    """Returns a value's `repr`, cut to 60 characters; it holds no control characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def shown_path(path: str) -> str:
    """Returns a path as messages show it: in quotes if it has white space that a reader would overlook."""
    return repr(path) if _ODD_SPACE.search(path) else path


def listed(names: Iterable[str]) -> str:
    """Returns a list of names for a message: the first twenty, each cut; it holds no control characters."""
    first = [short(name) for name in itertools.islice(names, 21)]
    return f"[{', '.join(first[:20])}{', ...' if len(first) > 20 else ''}]"


def _first_repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))


def _is_none(value: Any) -> bool:
    """Returns whether a value is what libraries write where there is none: pandas writes NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_text(value: Any) -> bool:
    """Returns whether a value is a string that UTF-8 can express: without half a surrogate pair."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def _left_out(name: str, verb: str, value: Any) -> str:
    what = "contains half a surrogate pair" if isinstance(value, str) else f"{verb} {_KINDS[type(value)]}"
    return f"{name!r} {what}, left out"
