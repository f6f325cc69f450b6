"""Which columns of a file hold images, texts, labels and keys: decided from its schema alone.

Promises: a column that the user named is used, or refused with the columns that there are; one of a default name that
cannot be used is left out, with a note. The same schema and options give the same layout in every process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pyarrow as pa

from lit_precompute.precompute.sources.columnar.columns import Column, ImageKind, is_label
from lit_precompute.precompute.sources.columnar.features import class_names, features_of
from lit_precompute.precompute.sources.columnar.finding import ColumnFinder
from lit_precompute.precompute.sources.spec import SourceColumns


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a file.

    Attributes:
      image: of the images, or of the names of files beside; of the keys, where there are none.
      image_kind: how it holds them.
      texts: of plain texts, in order.
      named: of texts with names, by name.
      label: of the class.
      class_names: what the numbers in `label` stand for.
      key: of the key.
      status: of why a row has no image, if the file says so.
      notes: what is left out of every row.
      found: the image column, if it was not named.
    """

    image: Column
    image_kind: ImageKind
    texts: tuple[Column, ...]
    named: Mapping[str, Column]
    label: Column | None
    class_names: tuple[str, ...] | None
    key: Column | None
    status: tuple[Column, ...]
    notes: tuple[str, ...]
    found: str | None

    def all_columns(self) -> list[Column]:
        """Returns the columns that rows are made of."""
        single = [column for column in (self.image, self.label, self.key) if column is not None]
        return [*single, *self.texts, *self.named.values(), *self.status]

    def key_columns(self) -> list[Column]:
        """Returns the columns that keys are made of; none where rows are numbered."""
        if self.key is not None:
            return [self.key]
        return [self.image] if self.has_paths else []

    @property
    def has_paths(self) -> bool:
        """Whether the images are files, one a row, whose paths are in the column."""
        return self.image_kind == "path" and not self.image.is_list


def find_layout(
    schema: pa.Schema, columns: SourceColumns, where: str, *, images_beside: bool = False, has_images: bool = True
) -> Layout:
    """Returns the columns of a file.

    Args:
      schema: of the file.
      columns: their names, as the user gave them.
      where: the file, for errors.
      images_beside: whether images are files beside, as img2dataset writes and names them.
      has_images: whether rows have images; without, there must be a column of keys, or of paths.

    Raises:
      SourceError: there is no such column, or it is of a type that cannot be used.
    """
    finder = ColumnFinder(schema, columns, where)
    features = features_of(schema, where)
    if has_images:
        image, kind, found = finder.find_names() if images_beside else finder.find_image(features)
    else:
        image, kind, found = finder.find_keys(finder.find_key())
    label = finder.find("label", is_label, "a string or a number")
    names = None if label is None else class_names(features, label.top, label.steps)
    return Layout(
        image=image,
        image_kind=kind,
        texts=finder.find_texts(label),
        named=finder.find_named(),
        label=label,
        class_names=names,
        key=finder.find_key(),
        status=finder.find_status(),
        notes=tuple(finder.notes),
        found=found,
    )
