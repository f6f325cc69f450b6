r"""A source in one string, or in a small TOML file.

    [FORMAT:]PATH[?NAME=VALUE&NAME=VALUE]

Promises: a path that exists here is taken as it is; so is everything that has no format of ours in front and no known
names behind: C:\images\t.csv, gs://bucket/t.csv, a signed URL. An unknown name is an error that lists the known ones,
and so is a setting that is given twice with different values, wherever the two are given.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import typing
import urllib.parse
from collections.abc import Mapping
from typing import Any

from lit_precompute.precompute.sources.files import Opener, open_first
from lit_precompute.precompute.sources.listing import is_web
from lit_precompute.precompute.sources.opening import format_names
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.precompute.sources.values import short
from lit_precompute.schemas.storage import beside, is_url, not_quite_a_url, open_file

_PAIRS = re.compile(r"[\w.-]+=[^&]*(&[\w.-]+=[^&]*)*")
_NAMED = "named."
_MAX_BYTES = 1 << 20
_KINDS = {str: "a string", int: "a whole number", bool: "true or false"}

Settings = Mapping[str, Any]
"""Values by name: a column's field (image), a named text (named.title), or another field of `SourceSpec` (format)."""


def parse_spec(text: str, flags: SourceSpec | None = None, *, opener: Opener = open_file) -> SourceSpec:
    """Returns the source that a user names.

    Args:
      text: a path, perhaps with a format before it and settings after it, or the path of a TOML file.
      flags: what options of the command line say, with any path; a field that has its default is not given.
      opener: opens the TOML file.

    Raises:
      SourceError: a name is unknown, a value is of the wrong type, or two values disagree.
    """
    path, settings = _split(text)
    if path.lower().endswith(".toml"):
        path, more = _read_toml(path, opener)
        settings = _merged(settings, {name: (value, f"{name} in the file") for name, value in more.items()}, text)
    if flags is not None:
        given = {name: (value, flag_of(name)) for name, value in settings_of(flags).items()}
        settings = _merged(settings, given, text)
    columns = {name: value for name, value in settings.items() if name in _column_names()}
    named = tuple(f"{name.removeprefix(_NAMED)}={value}" for name, value in settings.items() if name.startswith(_NAMED))
    others = {name.replace("-", "_"): value for name, value in settings.items() if name in _other_names()}
    return SourceSpec(path, columns=SourceColumns(**columns, named=named), **others)


def settings_of(spec: SourceSpec) -> Settings:
    """Returns what a spec sets to another value than the default."""
    columns = {name: getattr(spec.columns, name) for name in _column_names() if not spec.columns.is_default(name)}
    named = {f"{_NAMED}{name}": column for name, column in spec.columns.named_columns.items()}
    others = {name: getattr(spec, name.replace("-", "_")) for name in _other_names()}
    return {
        **{name: value for name, value in others.items() if value != getattr(SourceSpec, name.replace("-", "_"))},
        **columns,
        **named,
    }


def flag_of(name: str) -> str:
    """Returns the option of the command line that sets the same."""
    if name.startswith(_NAMED):
        return f"--named-text {name.removeprefix(_NAMED)}=COLUMN"
    return f"--{name}-column" if name in _column_names() else {"format": "--source-format"}.get(name, f"--{name}")


def _column_names() -> list[str]:
    return [field.name for field in dataclasses.fields(SourceColumns) if field.name != "named"]


def _other_names() -> dict[str, Any]:
    """Returns the types of the other settings, by name."""
    types = typing.get_type_hints(SourceSpec)
    fields = [field.name for field in dataclasses.fields(SourceSpec) if field.name not in ("path", "columns")]
    return {name.replace("_", "-"): types[name] for name in fields}


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """Returns a path and the settings around it."""
    if not is_url(text) and os.path.lexists(text):
        return text, {}
    settings: dict[str, Any] = {}
    path = text
    head, colon, rest = text.partition(":")
    if colon and head in format_names() and not rest.startswith("//"):
        path, settings["format"] = rest, head
    before, mark, query = path.rpartition("?")
    if mark and not query and is_web(path):
        return before, settings  # what is before is the address's own
    if mark and _PAIRS.fullmatch(query) and _are_settings(text, path, query):
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            if name in settings:
                raise SourceError(f"--source {text}: {name} is given twice")
            settings[name] = _from_text(text, name, urllib.parse.unquote(value))
        path = before
    if not path:
        raise SourceError(f"--source {text}: a path is missing")
    if not os.path.lexists(path) and (meant := not_quite_a_url(path)):
        raise SourceError(f"--source {text}: {meant}")
    return path, settings


def _are_settings(text: str, path: str, query: str) -> bool:
    """Returns whether NAME=VALUE pairs are settings; those of a web address may be its own.

    Raises:
      SourceError: there is an unknown name among them.
    """
    names = [pair.partition("=")[0] for pair in query.split("&")]
    unknown = [name for name in names if not _is_known(name)]
    if is_web(path) and len(unknown) == len(names):
        return False
    if unknown:
        own = "; if the address itself ends so, add a ? at its end" if is_web(path) else ""
        raise SourceError(f"--source {text}: unknown name {unknown[0]!r}; known are {_known_names()}{own}")
    return True


def _is_known(name: str) -> bool:
    return name in _column_names() or name in _other_names() or (name.startswith(_NAMED) and name != _NAMED)


def _known_names() -> str:
    return ", ".join([*_column_names(), "named.NAME", *_other_names()])


def _from_text(text: str, name: str, value: str) -> Any:
    """Returns a value of the type that the setting has."""
    kind = _kind(name)
    if kind is bool and value in ("true", "false"):
        return value == "true"
    if kind is int and re.fullmatch(r"\d{1,9}", value):
        return int(value)
    if kind is not str:
        raise SourceError(f"--source {text}: {name} must be {_KINDS[kind]}, got {value!r}")
    return value


def _kind(name: str) -> type:
    """Returns the type of a setting: every name of a column or a choice is a string."""
    kind = _other_names().get(name)
    return kind if kind in (bool, int) else str


def _read_toml(path: str, opener: Opener) -> tuple[str, dict[str, Any]]:
    """Returns the path, relative to the file's folder, and the settings in a TOML file."""
    with open_first(path, opener) as stream:
        data = stream.read(_MAX_BYTES)
    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not TOML: {error}") from error
    named = values.pop("named", {})
    if not isinstance(named, dict):
        raise SourceError(f"{path}: named must be a table like [named] title = 'COLUMN', got {short(named)}")
    settings = {**values, **{f"{_NAMED}{name}": value for name, value in named.items()}}
    source = settings.pop("path", None)
    if not isinstance(source, str) or not source:
        raise SourceError(f"{path}: path must be the path of a source, got {short(source)}")
    for name, value in settings.items():
        if not _is_known(name):
            raise SourceError(f"{path}: unknown name {name!r}; known are path, {_known_names()}")
        if type(value) is not _kind(name):
            raise SourceError(f"{path}: {name} must be {_KINDS[_kind(name)]}, got {short(value)}")
    return beside(path, source), settings


def _merged(settings: Mapping[str, Any], more: Mapping[str, tuple[Any, str]], text: str) -> dict[str, Any]:
    """Returns both, where they agree; `more` has values and where they are given, in words."""
    for name, (value, where) in more.items():
        if settings.get(name, value) != value:
            raise SourceError(
                f"--source {text}: {name} is {short(settings[name])}, but {short(value)} by {where}: give it once"
            )
    return {**settings, **{name: value for name, (value, _) in more.items()}}
