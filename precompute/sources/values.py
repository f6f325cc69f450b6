"""Texts and labels from JSON, in tables and webdataset samples.

Promises: a value that is not a string, a list of strings or (for labels and keys) a whole number is an error. The
caller passes `fault`, which makes the error and adds the place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Fault = Callable[[str], Exception]


def parse_json(text: str, fault: Fault) -> Any:
    """Returns the value of a JSON text."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise fault(f"not JSON: {error}, in {short(text)}") from error


def strings(values: Mapping[str, Any], name: str, fault: Fault) -> list[str]:
    """Returns the string or strings under a key, without empty ones; [] if the key is missing."""
    value = values.get(name)
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise fault(f"{name!r} must be a string or a list of strings, got {short(value)}")
    return [whole(text, name, fault) for text in texts if text]


def word(values: Mapping[str, Any], name: str, fault: Fault) -> str:
    """Returns the string or whole number under a key as a string; "" if the key is missing."""
    value = values.get(name)
    if value is None:
        return ""
    if isinstance(value, str) or type(value) is int:
        return whole(str(value), name, fault)
    raise fault(f"{name!r} must be a string or a whole number, got {short(value)}")


def whole(text: str, name: str, fault: Fault) -> str:
    """Returns the text; refuses half a surrogate pair, which JSON can express but UTF-8, hence a dataset, cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise fault(
            f"{name!r} must not contain half a surrogate pair ({text[error.start]!r}), got {short(text)}"
        ) from error
    return text


def short(value: Any) -> str:
    """Returns a value's `repr`, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
