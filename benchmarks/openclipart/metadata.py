"""The title, description and tags of an SVG of Open Clip Art, from its RDF metadata.

Promises: nothing outside the file is opened, and entities cannot make a small file large: one that refers to others is
refused. Texts are as their authors wrote them, but for HTML's escapes and what a program left where tags should be.
"""

import html
import re
import xml.parsers.expat
from typing import Any, NamedTuple

_DC = "http://purl.org/dc/elements/1.1/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TITLE, _DESCRIPTION, _SUBJECT = f"{_DC} title", f"{_DC} description", f"{_DC} subject"
_ITEM = f"{_RDF} li"
# Perl's names of references, where a text or tags should be: HASH(0x861a740), and its parts as tags.
_NO_TEXT = re.compile(r"hash(\(0x[0-9a-f]+\))?|0x[0-9a-f]+", re.IGNORECASE)
_LONGEST_ENTITY = 1_000


class Texts(NamedTuple):
    """What an image's author wrote of it; "" and no tags where there is nothing."""

    title: str
    description: str
    tags: list[str]


def read_texts(svg: bytes) -> Texts:
    """Returns the texts of the first work that an SVG describes.

    Raises:
      ValueError: it is not XML, or has an entity that refers to another one.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(svg, True)
    except xml.parsers.expat.ExpatError as error:
        raise ValueError(f"not XML: {error}") from error
    title, description = (_clean("".join(reader.found[name])) for name in (_TITLE, _DESCRIPTION))
    return Texts(title, description, list(dict.fromkeys(tag for each in reader.tags if (tag := _clean(each)))))


class _Reader:
    """Collects the texts of the first `Work` while expat parses."""

    def __init__(self):
        self.found: dict[str, list[str]] = {_TITLE: [], _DESCRIPTION: []}
        self.tags: list[str] = []
        self._path: list[str] = []
        self._works = 0
        self.parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._refuse_nested

    def _start(self, name: str, _: Any) -> None:
        self._path.append(name)
        self._works += name.endswith(" Work")
        if name == _ITEM and self._in_work(_SUBJECT):
            self.tags.append("")

    def _end(self, _: str) -> None:
        self._path.pop()

    def _text(self, text: str) -> None:
        name = self._path[-1] if self._path else ""
        if name in self.found and len(self._path) > 1 and self._path[-2].endswith(" Work") and self._works == 1:
            self.found[name].append(text)
        elif name == _ITEM and self._in_work(_SUBJECT):
            self.tags[-1] += text

    def _in_work(self, part: str) -> bool:
        """Returns whether this is inside that part of the first work."""
        return self._works == 1 and part in self._path

    def _refuse_nested(self, name: str, is_parameter: bool, value: str | None, *_: Any) -> None:
        if value is not None and (len(value) > _LONGEST_ENTITY or "&" in value or is_parameter):
            raise ValueError(f"entity {name!r} refers to others, or is too long")


def _clean(text: str) -> str:
    """Returns a text without HTML's escapes, on one line; "" for what is none."""
    words = " ".join(html.unescape(text).split())
    return "" if _NO_TEXT.fullmatch(words) else words
