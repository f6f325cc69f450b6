"""Finding a file's columns by the names that the user gave, or by their types; with errors that list what there is."""

from __future__ import annotations

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
    is_text,
    listed_types,
    short_type,
)
from lit_precompute.precompute.sources.columnar.features import kind_of
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns

# What img2dataset writes beside the columns of the user.
_IMG2DATASET = {"key", "status", "error_message", "width", "height", "original_width", "original_height"}
_ENCODED = ("jpg", "png", "webp")
_TEXTS = "a string or a list of strings"


class ColumnFinder:
    """Finds columns in one schema.

    Attributes:
      notes: what is left out of every row.
    """

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
        column = self._named(name)
        if column is None and self.columns.is_default("image"):
            name = found = self._only_image_column(features)
            column = self._named(name)
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

    def find_key(self) -> Column | None:
        """Returns the column of keys, if there is one."""
        return self.find("key", is_key, "a string or a whole number", is_strict=True)

    def find_keys(self, key: Column | None) -> tuple[Column, ImageKind, None]:
        """Returns what stands for the column of images in a file without them: the keys, or the paths of images."""
        if key is not None:
            return key, "none", None
        path = self._named(self.columns.image)
        if path is None or image_kind(path.type) != "path" or path.is_list:
            raise self.fault(
                f"no column {self.columns.key!r}; there are {self._listed()}; give its name as --key-column"
            )
        return path, "path", None

    def find_names(self) -> tuple[Column, ImageKind, None]:
        """Returns the column that img2dataset names files by."""
        column = self._named("key")
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
        arrays = [name for name in self.schema.names if (found := self._named(name)) and is_array(found)]
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
        found = [self._named(name) for name in dict.fromkeys(wanted)]
        if not any(found) and columns.is_default("text") and self.by_img2dataset:
            found = [self._named(name) for name in ("txt", "caption")]
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
        found = [self._named(name) for name in ("status", "error_message")]
        return tuple(column for column in found if column is not None and is_text(column.type) and not column.is_list)

    def _find(self, name: str, flag: str, *, is_required: bool) -> Column | None:
        column = self._named(name)
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

    def _named(self, name: str) -> Column | None:
        return find_column(self.schema, name, self.where)

    def _listed(self) -> str:
        return listed_types(self.schema)


def is_img2dataset(schema: pa.Schema) -> bool:
    """Returns whether a file is of img2dataset's making."""
    return set(schema.names) >= _IMG2DATASET
