"""Which columns of a file hold images, texts, labels and keys: decided from its schema alone.

Promises: a column that the user named is used, or refused with the columns that there are; one of a default name that
cannot be used is left out, with a note. The same schema and options give the same layout in every process.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from lit_precompute.precompute.sources.columnar.columns import (
    Column,
    ImageKind,
    find_column,
    image_columns,
    image_kind,
    is_array,
    is_key,
    is_label,
    is_text,
    listed_types,
    short_type,
)
from lit_precompute.precompute.sources.columnar.features import class_names, features_of, kind_of
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns

# What img2dataset writes beside the columns of the user.
_IMG2DATASET = {"key", "status", "error_message", "width", "height", "original_width", "original_height"}
_ENCODED = ("jpg", "png", "webp")
_TEXTS = "a string or a list of strings"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a file.

    Attributes:
      image: of the images, or of the names of files beside.
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


def is_img2dataset(schema: pa.Schema) -> bool:
    """Returns whether a file is of img2dataset's making."""
    return set(schema.names) >= _IMG2DATASET


def find_layout(schema: pa.Schema, columns: SourceColumns, where: str, *, images_beside: bool = False) -> Layout:
    """Returns the columns of a file.

    Args:
      schema: of the file.
      columns: their names, as the user gave them.
      where: the file, for errors.
      images_beside: whether images are files beside, as img2dataset writes and names them.

    Raises:
      SourceError: there is no such column, or it is of a type that cannot be used.
    """
    finder = _Finder(schema, columns, where)
    features = features_of(schema, where)
    image, kind, found = finder.find_names() if images_beside else finder.find_image(features)
    label = finder.find("label", is_label, "a string or a number")
    names = None if label is None else class_names(features, label.top, label.steps)
    return Layout(
        image=image,
        image_kind=kind,
        texts=finder.find_texts(label),
        named=finder.find_named(),
        label=label,
        class_names=names,
        key=finder.find("key", is_key, "a string or a whole number", is_strict=True),
        status=finder.find_status(),
        notes=tuple(finder.notes),
        found=found,
    )


class _Finder:
    """Finds columns in one schema; collects notes of those that are left out."""

    def __init__(self, schema: pa.Schema, columns: SourceColumns, where: str):
        self.schema, self.columns, self.where = schema, columns, where
        self.notes: list[str] = []
        self.by_img2dataset = is_img2dataset(schema)

    def fault(self, message: str) -> SourceError:
        return SourceError(f"{self.where}: {message}")

    def find(
        self,
        field: str,
        usable: Callable[[pa.DataType], bool],
        must_be: str,
        *,
        may_be_list: bool = False,
        is_strict: bool = False,
    ) -> Column | None:
        """Returns the column of a field of `SourceColumns`, if it can be used; what the user named must be usable."""
        is_named = not self.columns.is_default(field)
        column = self._find(getattr(self.columns, field), f"--{field}-column", is_required=is_named)
        if column is None:
            return None
        return self._usable(column, usable, must_be, may_be_list=may_be_list, is_strict=is_strict or is_named)

    def find_image(self, features: Mapping[str, Any]) -> tuple[Column, ImageKind, str | None]:
        """Returns the column of the images, how it holds them, and its name if the user did not give it."""
        name, found = self.columns.image, None
        column = find_column(self.schema, name, self.where)
        if column is None and self.columns.is_default("image"):
            name = found = self._only_image_column(features)
            column = find_column(self.schema, name, self.where)
        if column is None:
            raise self.fault(f"no column {name!r}; there are {self._listed()}; give its name as --image-column")
        kind = image_kind(column.type)
        if kind is None:
            array = ": pixels, not an encoded image; encode them as PNG first" if is_array(column) else ""
            raise self.fault(
                f"--image-column {name!r} is {self._type_of(column)}{array}; it must hold bytes of images, paths, or "
                f"structs of bytes and path"
            )
        return column, kind, found

    def find_names(self) -> tuple[Column, ImageKind, None]:
        """Returns the column that img2dataset names files by."""
        column = find_column(self.schema, "key", self.where)
        if column is None or not self.by_img2dataset:
            raise self.fault(f"not written by img2dataset: there must be {', '.join(sorted(_IMG2DATASET))}")
        return column, "beside", None

    def _only_image_column(self, features: Mapping[str, Any]) -> str:
        """Returns the only column that can hold images."""
        columns = self.columns
        others = {columns.text, columns.texts, columns.label, columns.key, *columns.named_columns.values()}
        names = [name for name in image_columns(self.schema) if name not in others]
        if declared := [name for name in names if kind_of(features.get(name)) == "Image"]:
            names = declared
        if self.by_img2dataset and (encoded := [name for name in names if name in _ENCODED]):
            names = encoded[-1:]
        if len(names) == 1:
            return names[0]
        several = (
            f"several columns can hold images, {' and '.join(map(repr, names))}" if names else "no column of images"
        )
        arrays = [field.name for field in self.schema if is_array_field(self.schema, field.name, self.where)]
        hint = f" ({arrays[0]!r} holds pixels, not encoded images)" if arrays and not names else ""
        raise self.fault(
            f"{several}{hint}; there are {self._listed()}; give the column of the images, or of their paths, as "
            f"--image-column, that of the texts as --text-column"
        )

    def find_texts(self, label: Column | None) -> tuple[Column, ...]:
        """Returns the columns of plain texts: the named one, those of its name with a number, and that of lists."""
        columns = self.columns
        numbered = re.compile(rf"{re.escape(columns.text)}_\d+")
        wanted = [columns.text, *(name for name in self.schema.names if numbered.fullmatch(name))]
        found = [find_column(self.schema, name, self.where) for name in dict.fromkeys(wanted)]
        if not any(found) and columns.is_default("text") and self.by_img2dataset:
            found = [find_column(self.schema, name, self.where) for name in ("txt", "caption")]
            found = [column for column in found if column][:1]
        texts: list[Column] = []
        for column in filter(None, found):
            is_named = not columns.is_default("text")
            if self._usable(column, is_text, _TEXTS, may_be_list=True, is_strict=is_named):
                texts.append(column)
        lists = self.find("texts", is_text, "a list of strings", may_be_list=True)
        if lists is not None and lists.name not in [column.name for column in texts]:
            texts.append(lists)
        nothing = not texts and label is None and not columns.named and not self.by_img2dataset
        if nothing or (not texts and not columns.is_default("text")):
            raise self.fault(
                f"no {columns.text!r} of strings; there are {self._listed()}; give its name as --text-column "
                f"(to embed images without texts, add an empty {columns.text!r})"
            )
        return tuple(texts)

    def find_named(self) -> dict[str, Column]:
        """Returns the columns of the texts with names."""
        found: dict[str, Column] = {}
        for name, of in self.columns.named_columns.items():
            column = self._find(of, f"--named-text {name}=", is_required=True)
            assert column is not None
            self._usable(column, is_text, _TEXTS, may_be_list=True, is_strict=True)
            found[name] = column
        return found

    def find_status(self) -> tuple[Column, ...]:
        """Returns the columns in which img2dataset says why a row has no image."""
        if not self.by_img2dataset:
            return ()
        found = [find_column(self.schema, name, self.where) for name in ("status", "error_message")]
        return tuple(column for column in found if column is not None and is_text(column.type) and not column.is_list)

    def _find(self, name: str, flag: str, *, is_required: bool) -> Column | None:
        column = find_column(self.schema, name, self.where)
        if column is None and is_required:
            raise self.fault(f"no column {name!r}; there are {self._listed()}; give its name as {flag}")
        return column

    def _usable(
        self,
        column: Column,
        usable: Callable[[pa.DataType], bool],
        must_be: str,
        *,
        may_be_list: bool,
        is_strict: bool,
    ) -> Column | None:
        if usable(column.type) and (may_be_list or not column.is_list):
            return column
        if is_strict:
            raise self.fault(f"column {column.name!r} is {self._type_of(column)}; it must be {must_be}")
        self.notes.append(f"{column.name!r} is {self._type_of(column)}, not {must_be}, left out")
        return None

    def _type_of(self, column: Column) -> str:
        if not column.steps:
            return short_type(self.schema.field(column.top).type)
        return f"a list of {short_type(column.type)}" if column.is_list else short_type(column.type)

    def _listed(self) -> str:
        return listed_types(self.schema)


def is_array_field(schema: pa.Schema, name: str, where: str) -> bool:
    """Returns whether a column holds arrays of numbers."""
    column = find_column(schema, name, where)
    return column is not None and is_array(column)
