"""Texts, labels and keys from JSON, in tables and in webdataset samples: the one home of these rules.

Promises: a missing value, null and NaN mean none. A text or label of an unusable type loses nothing but itself: it is
left out, and a note says so in a few words that many rows share. A key is strict: with a wrong one, rows would be mixed
up. The caller passes `fault`, which makes the error and adds the place.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Fault = Callable[[str], Exception]

_LARGEST_EXACT = 2**53  # above, a float no longer holds every whole number
_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def parse_json(text: str, fault: Fault) -> Any:
    """Returns the value of a JSON text; NaN and Infinity, which Python's json module writes, are read too."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of over 4,300 digits
        raise fault(f"not JSON: {error}, in {short(text)}") from error


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


def whole(text: str, name: str, fault: Fault) -> str:
    """Returns the text; refuses half a surrogate pair, which JSON can express but UTF-8, hence a dataset, cannot."""
    if not _is_text(text):
        raise fault(f"{name!r} must not contain half a surrogate pair, got {short(text)}")
    return text


def short(value: Any) -> str:
    """Returns a value's `repr`, cut to 60 characters; it holds no control characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def listed(names: Iterable[str]) -> str:
    """Returns a list of names for a message: the first twenty, each cut; it holds no control characters."""
    first = [short(name) for name in itertools.islice(names, 21)]
    return f"[{', '.join(first[:20])}{', ...' if len(first) > 20 else ''}]"


def _is_none(value: Any) -> bool:
    """Returns whether a value is what libraries write where there is none: pandas writes NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_text(value: Any) -> bool:
    """Returns whether a value is a string that UTF-8 can express: without half a surrogate pair."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def _left_out(name: str, verb: str, value: Any) -> str:
    what = "contains half a surrogate pair" if isinstance(value, str) else f"{verb} {_KINDS[type(value)]}"
    return f"{name!r} {what}, left out"
