"""Files that hold one JSON object, whoever wrote them, and what is wrong with one, in words.

Promises: a damaged or hostile file is one `JsonFileError`, of one sentence that begins with the file's path; what is
returned is nested so little that no later reader runs out of stack.
"""

import json
import pathlib
from typing import Any

import pydantic

# The files of this library are nested less than a tenth as deeply.
_MAX_DEPTH = 100
_MAX_FAULTS = 5


class JsonFileError(ValueError):
    """A file that does not hold a JSON object."""


def read_json_object(path: pathlib.Path, advice: str) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Args:
      path: the file.
      advice: what to do if it is damaged; the error ends with it.

    Raises:
      FileNotFoundError: there is no such file.
      JsonFileError: it is not UTF-8, not JSON, not an object, or nested too deeply.
    """
    return parse_json_object(path.read_bytes(), str(path), advice)


def parse_json_object(data: bytes, where: str, advice: str) -> dict[str, Any]:
    """Returns the JSON object that a file holds.

    Args:
      data: the file's bytes.
      where: its path, with which an error begins.
      advice: what to do if it is damaged; an error ends with it.

    Raises:
      JsonFileError: it is not UTF-8, not JSON, not an object, or nested too deeply.
    """
    try:
        content: Any = json.loads(data.decode("utf-8"))
        _refuse_depth(content)
    except (ValueError, RecursionError) as error:
        raise JsonFileError(f"{where}: not JSON ({why_not_json(error)}); {advice}") from error
    if not isinstance(content, dict):
        raise JsonFileError(f"{where}: must be a JSON object, got {type(content).__name__}; {advice}")
    return content


def faults_of(model: type[pydantic.BaseModel], content: Any, where: str) -> str:
    """Returns what is wrong with a part of a file that is to be a `model`; "" if nothing is."""
    try:
        model.model_validate(content)
    except pydantic.ValidationError as error:
        return faults_in_words(error, where)
    return ""


def faults_in_words(error: pydantic.ValidationError, where: str = "") -> str:
    """Returns the first errors as `key.key: rule, got value`; `where` is the path of what was validated."""
    prefix = (where,) if where else ()
    faults = [
        f"{'.'.join(map(str, prefix + fault['loc']))}: {fault['msg']}, got {fault['input']!r:.80}"
        for fault in error.errors(include_url=False)
    ]
    more = len(faults) - _MAX_FAULTS
    return "; ".join(faults[:_MAX_FAULTS]) + (f"; and {more} more" if more > 0 else "")


def _refuse_depth(content: Any) -> None:
    """Raises RecursionError if values are nested so deeply that code which walks them might."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(_MAX_DEPTH):
        level = [
            value
            for each in level
            for value in (each.values() if isinstance(each, dict) else each)
            if isinstance(value, dict | list)
        ]
        if not level:
            return
    raise RecursionError


def why_not_json(error: ValueError | RecursionError) -> str:
    """Returns in words what Python's json module raised."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return str(error)
    return "a number has thousands of digits"  # more than Python converts: its words are advice to programmers
