"""Which features of a tf.Example are what: chosen by the user, by TFDS's description, or by the usual names.

Promises: a feature that the user named is the one that is read; of the usual names, the first that a record has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping

from lit_precompute.precompute.sources.source import SourceError, source_tables
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.values import listed
from lit_precompute.schemas import TableSchema

# TensorFlow's own converters and object detection, TFDS, and img2dataset, whose txt is made from its caption.
_USUAL: Mapping[str, tuple[str, ...]] = {
    "image": ("image/encoded", "image", "jpg", "png", "webp", "image_raw"),
    "text": ("text", "caption", "txt", "image/caption", "captions/text", "captions"),
    "label": ("label", "image/class/label", "cls"),
    "key": ("key", "tfds_id"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """The names of the features that are read; each of the first five fields has them in the order they are tried in.

    Attributes:
      image: the encoded image.
      text: a text, or several.
      texts: more texts.
      label: the class.
      key: a unique name; where a file's first record has none, keys are made of the records' numbers.
      named: of each named text.
      classes: the names of the classes, for features that number them.
      sought: what the user named, and must therefore occur.
    """

    image: tuple[str, ...]
    text: tuple[str, ...]
    texts: tuple[str, ...]
    label: tuple[str, ...]
    key: tuple[str, ...]
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    sought: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: SourceColumns) -> Features:
        """Returns what the user named, and the usual names for the rest."""
        tried = {
            field: names if columns.is_default(field) else (str(getattr(columns, field)),)
            for field, names in _USUAL.items()
        }
        chosen = [getattr(columns, field) for field in (*_USUAL, "texts") if not columns.is_default(field)]
        return cls(
            image=tried["image"],
            text=tried["text"],
            texts=(columns.texts,),
            label=tried["label"],
            key=tried["key"],
            named=columns.named_columns,
            sought=tuple(dict.fromkeys([*chosen, *columns.named_columns.values()])),
        )

    def renamed(self, rename: Callable[[str], str]) -> Features:
        """Returns the same with other names."""
        fields = ("image", "text", "texts", "label", "key", "sought")
        names = {field: tuple(map(rename, getattr(self, field))) for field in fields}
        return dataclasses.replace(self, **names, named={column: rename(name) for column, name in self.named.items()})

    @property
    def words(self) -> tuple[str, ...]:
        """The features of texts without a name, and of labels."""
        return (*self.text, *self.texts, *self.label)

    def key_of(self, there: Collection[str]) -> str | None:
        """Returns the feature of the keys in a file whose first record has certain features; None for numbers."""
        return first_of(self.key, [*there, *self.sought])


def first_of(names: Iterable[str], there: Collection[str]) -> str | None:
    """Returns the first of some names that is there, if any."""
    return next((name for name in names if name in there), None)


def tables_of(path: str, features: Features, there: Collection[str]) -> tuple[TableSchema, ...]:
    """Returns the tables of a source whose records have certain features.

    Args:
      path: of the source.
      features: those that are read.
      there: those that there are.

    Raises:
      SourceError: a feature that the user named is in no record; no record has an image, or none texts or labels.
    """
    there_are = f"there are {listed(sorted(there))}"
    if absent := next((name for name in features.sought if name not in there), None):
        raise SourceError(f"{path}: no record has the feature {absent!r}; {there_are}")
    if first_of(features.image, there) is None:
        tried = " or ".join(features.image)
        raise SourceError(
            f"{path}: no record has an image, a feature {tried}; {there_are}; give its name as --image-column"
        )
    if not features.named and first_of(features.words, there) is None:
        tried = " or ".join(features.words)
        raise SourceError(
            f"{path}: no record has a text or label, a feature {tried}; {there_are}; give its name as --text-column "
            "or --label-column"
        )
    return source_tables(has_labels=first_of(features.label, there) is not None, named=tuple(features.named))
