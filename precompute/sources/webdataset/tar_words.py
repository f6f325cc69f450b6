"""The texts and the label of a sample in a tar.

Promises: a member that cannot be read is an `ImageError`, so that only its own row fails. What img2dataset and
webdataset's own writer produce is read as they mean it.

Not here: finding samples (`tar_samples`) and reading members (`member_files`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.values import (
    Words,
    is_python,
    parse_json_as_it_is,
    read_label,
    read_texts,
    short,
)
from lit_precompute.precompute.sources.webdataset.tar_members import Member, shown

ReadMember = Callable[[Member], bytes]
"""Returns a member's bytes; raises ImageError if it cannot be read."""

# As webdataset's writer names them.
TEXT_SUFFIXES = ("txt", "text")
LABEL_SUFFIXES = ("cls", "class")
JSON_SUFFIXES = ("json", "jsn")


def read_words(parts: Mapping[str, Member], read: ReadMember, columns: SourceColumns) -> Words:
    """Returns a sample's texts (the txt member, then those of the JSON, each once) and its label (cls, else JSON).

    A named text is that of the member with its suffix, else what the JSON has under its name. JSON that cannot be used
    loses its words alone.

    Raises:
      ImageError: "unreadable" or "missing", a member cannot be read, or a text or label is not UTF-8.
    """
    written = [_text(parts[suffix], read) for suffix in TEXT_SUFFIXES if suffix in parts]
    labels = [_text(parts[suffix], read) for suffix in LABEL_SUFFIXES if suffix in parts]
    values, notes = read_json(parts, read)
    names = text_names(columns)
    if values and not written and values.keys().isdisjoint(names):
        notes.append(f"JSON without {', '.join(names[:-1])} or {names[-1]}")
    texts = [text for text in written if not any(is_python(text, values.get(name)) for name in names)]
    for name in names:
        texts += _texts_of_json(values, name, notes)
    named = {
        name: _unique([_text(parts[suffix], read)] if suffix in parts else _texts_of_json(values, column, notes))
        for name, column, suffix in named_suffixes(columns)
    }
    label, left_out = (labels[0], []) if labels else read_label(values, columns.label)
    if len(set(labels)) > 1:
        left_out = ["another label in the sample, left out"]
    # img2dataset writes a caption twice, as txt and in the JSON.
    return Words(_unique(texts), named, label, tuple(dict.fromkeys([*notes, *left_out])))


def named_suffixes(columns: SourceColumns) -> list[tuple[str, str, str]]:
    """Returns (name, key in the JSON, suffix of a member) of each named text; either may be there."""
    return [(name, column, column.lower().removeprefix(".")) for name, column in columns.named_columns.items()]


def words_suffixes(columns: SourceColumns) -> frozenset[str]:
    """Returns the suffixes of the members that `read_words` reads."""
    named = {suffix for _, _, suffix in named_suffixes(columns)}
    return frozenset({*TEXT_SUFFIXES, *LABEL_SUFFIXES, *JSON_SUFFIXES} | named)


def text_names(columns: SourceColumns) -> tuple[str, ...]:
    """Returns the JSON keys of texts; "caption" (img2dataset's) too, unless the user named one."""
    return (columns.text, columns.texts, *(("caption",) if columns.is_default("text") else ()))


def read_json(parts: Mapping[str, Member], read: ReadMember) -> tuple[dict[str, Any], list[str]]:
    """Returns the object in a sample's JSON, {} without one, and notes about what was left out.

    Raises:
      ImageError: "unreadable" or "missing", the member cannot be read.
    """
    members = [parts[suffix] for suffix in JSON_SUFFIXES if suffix in parts]
    if not members:
        return {}, []
    notes = ["another JSON in the sample, left out"] if len(members) > 1 else []
    try:
        values, repeated = parse_json_as_it_is(read(members[0]).decode("utf-8-sig"), _NotJsonError)
    except (UnicodeDecodeError, _NotJsonError):
        return {}, ["JSON that cannot be parsed, left out", *notes]
    if not isinstance(values, dict):
        return {}, ["JSON that is not an object, left out", *notes]
    if repeated is not None:
        notes.append(f"{short(repeated)} is repeated in the JSON, all but the last left out")
    return values, notes


class _NotJsonError(ValueError):
    """A member is not JSON."""


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(text for text in dict.fromkeys(texts) if text)


def _texts_of_json(values: Mapping[str, Any], name: str, notes: list[str]) -> list[str]:
    """Returns the texts under a key; adds to the notes what was left out."""
    found, left_out = read_texts(values, name)
    notes += left_out
    return [text.strip() for text in found]


def _text(member: Member, read: ReadMember) -> str:
    try:
        return read(member).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ImageError("unreadable", f"{shown(member.name)}: not UTF-8 at byte {error.start}") from error
