"""The contents of a sample in a tar: its texts, its label, and its image's bytes on request.

Promises: members are read by position, by several threads at once through one open file. A member that cannot be read
is an `ImageError`, so that only its own row fails. What img2dataset and webdataset's own writer produce is read as they
mean it.

Not here: finding samples (`tar_samples`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
import uuid
from collections.abc import Mapping
from typing import Any, BinaryIO

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.reading import LargeFileError
from lit_precompute.precompute.sources.files import Opener
from lit_precompute.precompute.sources.source import SourceColumns, SourceError
from lit_precompute.precompute.sources.values import parse_json_as_it_is, read_label, read_texts, short
from lit_precompute.precompute.sources.webdataset.tar_members import Member, shown

# As webdataset's writer names them.
TEXT_SUFFIXES = ("txt", "text")
LABEL_SUFFIXES = ("cls", "class")
JSON_SUFFIXES = ("json", "jsn")


class SharedFile:
    """A tar that several threads read: opened at first use, closed with the last row that refers to it.

    Rows of one tar that are unpickled in another process share it there too.
    """

    def __init__(self, opener: Opener, path: str):
        self.path = path
        self._opener = opener
        self._stream: BinaryIO | None = None
        self._lock = threading.Lock()
        self._identity = uuid.uuid4().hex

    def read(self, member: Member, max_bytes: int | None = None) -> bytes:
        """Returns a member's bytes. Errors of the tar itself are raised unchanged: they are not about one image.

        Raises:
          ImageError: "missing", a link that leads to no file; "unreadable", another fault of the member.
          LargeFileError: there are more than `max_bytes`.
        """
        if member.fault:
            raise ImageError("missing" if member.is_link else "unreadable", f"{shown(member.name)}: {member.fault}")
        if max_bytes is not None and member.size > max_bytes:
            raise LargeFileError(member.name)
        with self._lock:
            if self._stream is None:
                self._stream = self._opener(self.path)
            self._stream.seek(member.data)
            data = self._stream.read(member.size)
        if len(data) != member.size:
            raise SourceError(
                f"{self.path}: {member.name!r} had {member.size} bytes and has {len(data)} now; the tar changed"
            )
        return data

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared_again, (self._opener, self.path, self._identity)

    def __del__(self):
        if self._stream is not None:
            self._stream.close()


@functools.lru_cache(maxsize=2)  # rows of two units may be in progress
def _shared_again(opener: Opener, path: str, identity: str) -> SharedFile:
    del identity  # part of the cache's key: the path may be that of another file by now
    return SharedFile(opener, path)


@dataclasses.dataclass(frozen=True)
class Words:
    """The texts and the label of a sample, and notes about what was left out of them."""

    texts: tuple[str, ...] = ()
    label: str = ""
    notes: tuple[str, ...] = ()


def read_words(parts: Mapping[str, Member], file: SharedFile, columns: SourceColumns) -> Words:
    """Returns a sample's texts (the txt member, then those of the JSON, each once) and its label (cls, else JSON).

    JSON that cannot be used loses its words alone.

    Raises:
      ImageError: "unreadable" or "missing", a member cannot be read, or a txt or cls is not UTF-8.
    """
    written = [_text(parts[suffix], file) for suffix in TEXT_SUFFIXES if suffix in parts]
    labels = [_text(parts[suffix], file) for suffix in LABEL_SUFFIXES if suffix in parts]
    values, notes = read_json(parts, file)
    names = text_names(columns)
    if values and not written and values.keys().isdisjoint(names):
        notes.append(f"JSON without {', '.join(names[:-1])} or {names[-1]}")
    texts = [text for text in written if not any(_is_python(text, values.get(name)) for name in names)]
    for name in names:
        found, left_out = read_texts(values, name)
        texts += [text.strip() for text in found]
        notes += left_out
    label, left_out = (labels[0], []) if labels else read_label(values, columns.label)
    if len(set(labels)) > 1:
        left_out = ["another label in the sample, left out"]
    # img2dataset writes a caption twice, as txt and in the JSON.
    unique = tuple(text for text in dict.fromkeys(texts) if text)
    return Words(unique, label, tuple(dict.fromkeys([*notes, *left_out])))


def text_names(columns: SourceColumns) -> tuple[str, ...]:
    """Returns the JSON keys of texts; "caption" (img2dataset's) too, unless the user named one."""
    return (columns.text, columns.texts, *(("caption",) if columns.is_default("text") else ()))


def read_json(parts: Mapping[str, Member], file: SharedFile) -> tuple[dict[str, Any], list[str]]:
    """Returns the object in a sample's JSON, {} without one, and notes about what was left out.

    Raises:
      ImageError: "unreadable" or "missing", the member cannot be read.
    """
    members = [parts[suffix] for suffix in JSON_SUFFIXES if suffix in parts]
    if not members:
        return {}, []
    notes = ["another JSON in the sample, left out"] if len(members) > 1 else []
    try:
        values, repeated = parse_json_as_it_is(file.read(members[0]).decode("utf-8-sig"), _NotJsonError)
    except (UnicodeDecodeError, _NotJsonError):
        return {}, ["JSON that cannot be parsed, left out", *notes]
    if not isinstance(values, dict):
        return {}, ["JSON that is not an object, left out", *notes]
    if repeated is not None:
        notes.append(f"{short(repeated)} is repeated in the JSON, all but the last left out")
    return values, notes


class _NotJsonError(ValueError):
    """A member is not JSON."""


def _text(member: Member, file: SharedFile) -> str:
    try:
        return file.read(member).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ImageError("unreadable", f"{shown(member.name)}: not UTF-8 at byte {error.start}") from error


def _is_python(text: str, value: Any) -> bool:
    """Returns whether a text is img2dataset's rendering of a caption that is no string: "nan", "['a', 'b']"."""
    return text == str(value) and (isinstance(value, list) or (isinstance(value, float) and math.isnan(value)))
