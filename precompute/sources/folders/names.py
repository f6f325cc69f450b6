"""Names in a folder of images: which are images, which are texts beside them, and which are left out, and why.

Promises: every name is an image's, belongs to an image, or is counted in a note.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping

from lit_precompute.schemas import Note
from lit_precompute.schemas.storage import Names

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
TEXT_SUFFIXES = ("txt", "json", "cls")
_OF_THE_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"}


@dataclasses.dataclass(frozen=True)
class Images:
    """The images in a folder, with the texts beside them.

    Attributes:
      names: of the images, sorted; relative to the folder.
      stems: what each has in common with its texts: its name without the suffix.
      texts: the names of texts, by stem and suffix in lower case: "a/1.txt".
      notes: what was left out.
    """

    names: list[str]
    stems: list[str]
    texts: Mapping[str, str]
    notes: tuple[Note, ...]

    def beside(self, row: int) -> dict[str, str]:
        """Returns the names of the texts beside an image, by suffix."""
        found = {suffix: self.texts.get(f"{self.stems[row]}.{suffix}") for suffix in TEXT_SUFFIXES}
        return {suffix: name for suffix, name in found.items() if name is not None}

    def version(self) -> str:
        """Returns a hash of all names: rows are counted by their place among them."""
        digest = hashlib.sha256()
        for name in (*self.names, "", *self.texts.values()):
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        return digest.hexdigest()


def find_images(listed: Names, folder: str, image_suffixes: Iterable[str]) -> Images:
    """Returns the images among the names in a folder.

    Args:
      listed: the names.
      folder: relative to the source, for notes; "" for the source itself.
      image_suffixes: in lower case, without their dot.
    """
    endings = tuple(f".{suffix}" for suffix in image_suffixes)
    names: list[str] = []
    stems: list[str] = []
    texts: dict[str, str] = {}
    notes = _Notes(folder)
    for name in listed.files:
        if is_hidden(name):
            notes.add("hidden file, or one of the system, left out", name)
        elif ending := _ending(name, endings):
            names.append(name)
            stems.append(name[: -len(ending)])
            if key_of(name) != name:
                notes.add(r"name that is not UTF-8, written in the key with \x and two digits", name)
        elif ending := _ending(name, tuple(f".{suffix}" for suffix in TEXT_SUFFIXES)):
            texts[f"{name[: -len(ending)]}{ending}"] = name
        else:
            notes.add("file of another kind, left out", name)
    for name in listed.circles:
        notes.add("link to a folder that it is in, left out", name)
    _pair(names, stems, texts, notes)
    return Images(names, stems, texts, tuple(notes))


def is_hidden(name: str) -> bool:
    """Returns whether a name is hidden, one that operating systems leave behind, or in such a folder."""
    return any(part.startswith(".") or part in _OF_THE_SYSTEM for part in name.split("/"))


def is_image(name: str) -> bool:
    """Returns whether a name is one of a visible image."""
    return not is_hidden(name) and name.lower().endswith(tuple(f".{suffix}" for suffix in IMAGE_SUFFIXES))


def key_of(name: str) -> str:
    r"""Returns a name as UTF-8; bytes of the file system that are not UTF-8 become `\x` and two digits."""
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _ending(name: str, endings: tuple[str, ...]) -> str | None:
    lower = name.lower()
    if not lower.endswith(endings):
        return None
    return next(ending for ending in endings if lower.endswith(ending) and not lower.endswith(f"/{ending}"))


def _pair(names: list[str], stems: list[str], texts: dict[str, str], notes: _Notes) -> None:
    """Removes texts without an image; notes these, and, if some have texts, images without."""
    known = set(stems)
    for ending, name in list(texts.items()):
        if ending.rpartition(".")[0] not in known:
            notes.add("text without an image, left out", name)
            del texts[ending]
    if texts:
        with_texts = {ending.rpartition(".")[0] for ending in texts}
        for name, stem in zip(names, stems, strict=True):
            if stem not in with_texts:
                notes.add("image without a text beside it, embedded without texts", name)


class _Notes:
    """Notes of one kind counted together."""

    def __init__(self, folder: str):
        self._folder = folder
        self._kinds: dict[str, tuple[int, str]] = {}

    def add(self, what: str, name: str) -> None:
        count, first = self._kinds.get(what, (0, key_of(f"{self._folder}/{name}" if self._folder else name)))
        self._kinds[what] = count + 1, first

    def __iter__(self) -> Iterator[Note]:
        return (Note(what=what, count=count, first=first) for what, (count, first) in self._kinds.items())
