"""The contents of a sample in a tar: its texts, its label, and its image's bytes on request.

Promises: members are read by position, by several threads at once through one open file. A member that cannot be read
is an `ImageError`, so that only its own row fails.

Not here: finding samples (`tar_samples`).
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable
from typing import Any, BinaryIO

from lit_precompute.precompute.images.decoding import ImageError
from lit_precompute.precompute.sources.source import Opener, SourceColumns, SourceError
from lit_precompute.precompute.sources.values import parse_json, strings, word
from lit_precompute.precompute.sources.webdataset.tar_samples import Member, Sample


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

    def read(self, member: Member) -> bytes:
        """Returns a member's bytes. Errors of the tar itself are raised unchanged: they are not about one image."""
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


def read_words(sample: Sample, file: SharedFile, columns: SourceColumns) -> tuple[tuple[str, ...], str]:
    """Returns a sample's texts (the txt member, then those of the JSON, each once) and its label (cls, else JSON).

    Raises:
      ImageError: "unreadable", a member is not UTF-8 or not the expected JSON.
    """
    texts, label = [], ""
    if "txt" in sample.parts:
        texts.append(_text(sample.parts["txt"], file))
    if "json" in sample.parts:
        member = sample.parts["json"]
        values = read_json(member, file)
        fault = _fault(member)
        for name in text_names(columns):
            texts += [text.strip() for text in strings(values, name, fault)]
        label = word(values, columns.label, fault)
    if "cls" in sample.parts:
        label = _text(sample.parts["cls"], file)
    # img2dataset writes a caption twice, as txt and in the JSON.
    return tuple(text for text in dict.fromkeys(texts) if text), label


def text_names(columns: SourceColumns) -> tuple[str, ...]:
    """Returns the JSON keys of texts; "caption" (img2dataset's) too, unless the user named one."""
    return (columns.text, columns.texts, *(("caption",) if columns.is_default("text") else ()))


def _fault(member: Member) -> Callable[[str], ImageError]:
    return lambda message: ImageError("unreadable", f"{member.name}: {message}")


def _text(member: Member, file: SharedFile) -> str:
    try:
        return file.read(member).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _fault(member)(f"not UTF-8 at byte {error.start}") from error


def read_json(member: Member, file: SharedFile) -> dict[str, Any]:
    """Returns the object in a JSON member.

    Raises:
      ImageError: "unreadable", it is not a JSON object.
    """
    values = parse_json(_text(member, file), _fault(member))
    if not isinstance(values, dict):
        raise _fault(member)("must be a JSON object")
    return values
