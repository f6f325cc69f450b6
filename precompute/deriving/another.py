"""What differs between the derivation that an output belongs to and the one that was asked for, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COLUMNS = "options.columns."
_PROBED = "probed"  # of what `lit-data probe --output` writes
# What users give the ways by in which files are read.
_FLAGS = {
    **{f"{_COLUMNS}{name}": f"--{name}-column" for name in ("image", "text", "texts", "label", "key")},
    f"{_COLUMNS}named": "--named-text or --language-column",
    "options.format": "--source-format",
    "options.gather": "--gather",
    "options.key": "the column of keys",
    "options.vectors": "the column of vectors",
    "made_by": "--text-tower",
}


def another_in_words(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Returns what differs; nothing if both are of the same derivation.

    Args:
      found: what the output was derived from, as its manifest or note describes it.
      asked: what was asked for, described in the same way.
    """
    words = list(_of_tables(found.get("tables", {}), asked.get("tables", {})))
    if found.get("base") != asked.get("base"):
        words.insert(0, "it refers to another dataset, or to this one as it was before it was replaced")
    if found.get(_PROBED) != asked.get(_PROBED):
        probed: Mapping[str, Any] = found.get(_PROBED) or {}
        rows = f"{probed.get('rows')} rows of {probed.get('source')}" if probed else "nothing"
        words.append(f"it was written after a probe of {rows}")
    known = {"base", "tables", _PROBED}
    for name in sorted({*found, *asked} - known):
        if found.get(name) != asked.get(name):
            words.append(_value(f"--{name.replace('_', '-')}", found.get(name), asked.get(name)))
    return words


def _of_tables(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*found, *asked}):
        if name not in asked:
            yield f"it also has {name} of {found[name].get('path')}, which are not asked for"
        elif name not in found:
            yield f"it has no {name} of its own"
        elif found[name] != asked[name]:
            yield from _of_table(name, found[name], asked[name])


def _of_table(name: str, found: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    ours, theirs = asked.get("path"), found.get("path")
    if ours != theirs:
        yield f"its {name} are of {theirs}, not of {ours}"
    elif any(found.get(part) != asked.get(part) for part in ("files", "digest")):
        changed = ", ".join(_changed(found.get("files", []), asked.get("files", []))) or ours
        yield f"its {name} are of {changed} as it was before it was changed"
    one, other = dict(_flat(found)), dict(_flat(asked))
    for place in sorted({*one, *other}):
        if one.get(place) != other.get(place):
            yield _value(_FLAGS.get(place, place.replace("_", " ")), one.get(place), other.get(place))


def _changed(found: list[Mapping[str, Any]], asked: list[Mapping[str, Any]]) -> list[str]:
    """Returns the first few files whose content differs."""
    known = {file["path"]: file["sha256"] for file in found}
    return [file["path"] for file in asked if known.get(file["path"]) != file["sha256"]][:3]


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields how a table was read, by dotted names; not what was read."""
    for name, value in table.items():
        if name in ("path", "files", "digest"):
            continue
        if name == "options":
            columns = value.get("columns", {})
            yield from ((f"{_COLUMNS}{column}", given) for column, given in columns.items())
            yield from ((f"options.{option}", given) for option, given in value.items() if option != "columns")
        else:
            yield name, value


def _value(name: str, found: Any, asked: Any) -> str:
    """Returns both values, if they are short and of one word each; else that they differ."""
    if isinstance(found, bool) or isinstance(asked, bool):
        return f"{name} was {'given' if found else 'not given'} then"
    if isinstance(found, dict | list) or isinstance(asked, dict | list):
        return f"{name} differs"
    return f"{name} was {found!r} then, and is {asked!r} now" if asked is not None else f"{name} was {found!r} then"
