"""Columns of a source that are not used, and look as if they should be: which option to give.

Promises: a suggestion names the option as it is typed. Not here: what is wrong with the columns that are used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from lit_precompute.precompute.sources.source import Example
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.values import short
from lit_precompute.schemas.storage import WEB_SCHEMES

_IMAGES = re.compile(
    r"(image|img|picture|photo|file|jpg|png|url)(_?(path|name|url|file))?|(file|img|image)names?", re.I
)
_TEXTS = re.compile(r"(alt_?text|alt|caption|text|title|description|prompt|sentence|headline|summary)s?(_?\d+)?", re.I)
_LABELS = re.compile(r"(class|category|target|label)(_?(name|id))?|cls|species", re.I)
_KEYS = re.compile(r"(\w+_)?(id|uid|uuid|key|hash|sha256|md5)", re.I)
_NO_IMAGE = re.compile("no column of images|no record has an image")
_IMAGE_VALUE = re.compile(r".+\.(jpe?g|png|webp|gif|bmp|tiff?)", re.I)


def suggest_columns(
    columns: SourceColumns, fields: Mapping[str, str], sample: Sequence[Example], faults: str
) -> list[str]:
    """Returns sentences about columns that should perhaps be used.

    Args:
      columns: those that are used.
      fields: the source's columns, with an example of each.
      sample: the first rows; none if they cannot be read.
      faults: what is wrong with the source, in words.
    """
    # Some formats find columns by their contents.
    found = {text for row in sample[:1] for text in (*row.texts, row.label)}
    used = _used(columns, fields)
    unused = [name for name, value in fields.items() if name not in used and value not in found]
    unused = [name for name in unused if not looks_like_image(name)]  # a row in place of the header
    needs_image = columns.image not in fields and (repr(columns.image) in faults or _NO_IMAGE.search(faults))
    return list(_suggestions(fields, unused, sample, needs_image=bool(needs_image)))


def looks_like_image(value: str) -> bool:
    """Returns whether a value is the path or the address of an image, by its looks."""
    return bool(_IMAGE_VALUE.fullmatch(value)) or value.startswith(WEB_SCHEMES)


def _used(columns: SourceColumns, fields: Collection[str]) -> set[str]:
    numbered = re.compile(rf"{re.escape(columns.text)}(_\d+)?")
    names = {columns.image, columns.texts, columns.label, columns.key, *columns.named_columns.values()}
    return names | {name for name in fields if numbered.fullmatch(name)}


def _suggestions(
    fields: Mapping[str, str], unused: Sequence[str], sample: Sequence[Example], *, needs_image: bool
) -> Iterator[str]:
    if needs_image:
        by_value = [name for name in unused if looks_like_image(fields[name])]
        for name in by_value[:1] or [name for name in unused if _IMAGES.fullmatch(name)][:1]:
            example = f"{short(name)} ({short(fields[name])})"
            yield f"no images are named: is {example} the image? {_flag('image', name)}"
    texts = [name for name in unused if _TEXTS.fullmatch(name)]
    if texts and not any(row.texts for row in sample):
        name = next((name for name in texts if "caption" in name.lower()), texts[0])
        texts.remove(name)
        yield f"{_unused(name, fields)}: is it the text? {_flag('text', name)}"
    for name in texts:
        own = re.sub(r"\W", "_", name.lower())
        yield f"{_unused(name, fields)}: --named-text {own}={_quoted(name)} keeps it beside the texts"
    if not any(row.label for row in sample):
        for name in [name for name in unused if _LABELS.fullmatch(name)][:1]:
            yield f"{_unused(name, fields)}: is it the class? {_flag('label', name)}"
    if len({row.key for row in sample}) < len(sample):
        for name in [name for name in unused if _KEYS.fullmatch(name)][:1]:
            yield f"keys repeat, and there is a column {short(name)} ({short(fields[name])}): {_flag('key', name)}"


def _unused(name: str, fields: Mapping[str, str]) -> str:
    return f"the column {short(name)} ({short(fields[name])}) is not used"


def _flag(field: str, name: str) -> str:
    return f"--{field}-column {_quoted(name)}"


def _quoted(name: str) -> str:
    """Returns a name as a shell takes it."""
    return name if re.fullmatch(r"[\w.:-]+", name) else "'" + name.replace("'", "'\"'\"'") + "'"
