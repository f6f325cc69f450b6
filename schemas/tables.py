"""Tables of a dataset: named, row-aligned columns kept in files of their own."""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
import pydantic

from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.vectors import VectorType, scale_column, vector_field

KEY = "key"
# The table that every dataset has, and the vector column of all tables of image embeddings.
EMBEDDINGS, EMBEDDING = "embeddings", "embedding"
FAILURES = "failures"
# Names beside the tables' folders.
_RESERVED = ("attachments",)
_RESERVED_ENDINGS = (".json", ".arrow")


class StrictModel(pydantic.BaseModel):
    """Base of the manifest's parts: immutable; unknown keys and wrong types are errors."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


def json_digest(value: Any) -> str:
    """Returns the SHA-256, in hexadecimal, of a value's canonical JSON (docs/format.md)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class ColumnSchema(StrictModel):
    """One column: strings, lists of strings or of lists of ints, vectors of one width and type, or int8's scales."""

    name: str
    type: Literal["string", "list<string>", "list<list<int32>>", "vector", "scale"]
    width: int | None = pydantic.Field(default=None, ge=1)
    vector_type: VectorType | None = None

    @pydantic.model_validator(mode="after")
    def _vectors_have_a_width_and_a_type(self) -> "ColumnSchema":
        is_vector = self.type == "vector"
        if (self.width is not None) != is_vector or (self.vector_type is not None) != is_vector:
            raise ValueError(
                f"column '{self.name}': a vector column must have width and vector_type, and no other may; "
                f"got type {self.type}, width {self.width}, vector_type {self.vector_type}"
            )
        return self

    def field(self) -> pa.Field:
        """Returns the Arrow field; no column is nullable."""
        if self.type == "vector":
            assert self.width is not None
            assert self.vector_type is not None
            return vector_field(self.name, self.width, self.vector_type)
        if self.type == "string":
            return pa.field(self.name, pa.string(), nullable=False)
        if self.type == "scale":
            return pa.field(self.name, pa.float32(), nullable=False)
        item = pa.string() if self.type == "list<string>" else pa.list_(_item(pa.int32()))
        return pa.field(self.name, pa.list_(_item(item)), nullable=False)


def _item(kind: pa.DataType) -> pa.Field:
    return pa.field("item", kind, nullable=False)


class TableSchema(StrictModel):
    """One table: its name, its columns (`key` first), and whether its rows are the dataset's rows.

    `reference` is the number of the manifest's reference that has its files; None for files of the dataset's own.
    """

    name: str
    columns: list[ColumnSchema]
    aligned: bool = True
    reference: int | None = pydantic.Field(default=None, ge=0)

    @pydantic.model_validator(mode="after")
    def _names_are_usable(self) -> "TableSchema":
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", self.name):
            raise ValueError(f"table '{self.name}': a name may only have lower-case letters, digits, '_', '.' and '-'")
        names = [column.name for column in self.columns]
        if names[:1] != [KEY] or self.columns[0].type != "string" or len(set(names)) != len(names):
            raise ValueError(
                f"table '{self.name}': the first column must be the string '{KEY}', and names must differ, got {names}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _int8_vectors_have_scales(self) -> "TableSchema":
        expected = {scale_column(column.name) for column in self.columns if column.vector_type == "int8"}
        found = {column.name for column in self.columns if column.type == "scale"}
        if found != expected:
            raise ValueError(
                f"table '{self.name}': the scale columns must be {sorted(expected)}, one for each int8 vector column, "
                f"got {sorted(found)}"
            )
        return self

    def arrow_schema(self) -> pa.Schema:
        """Returns the schema that every block of the table has."""
        return pa.schema([column.field() for column in self.columns])

    def to_json(self) -> dict[str, Any]:
        """Returns the table as the manifest has it; `reference` only if there is one."""
        return self.model_dump(exclude={"reference"} if self.reference is None else None)

    def content_json(self) -> dict[str, Any]:
        """Returns what the table's rows are, wherever its files are."""
        return self.model_dump(exclude={"reference"})

    @property
    def holds_vectors(self) -> bool:
        """Whether the table has vectors: its blocks are stored uncompressed, to be read without a copy."""
        return any(column.type == "vector" for column in self.columns)


def _key() -> ColumnSchema:
    return ColumnSchema(name=KEY, type="string")


def is_embeddings(table: str) -> bool:
    """Returns whether a table of this name holds embeddings of the images: `embeddings`, or `embeddings-NAME`."""
    return table == EMBEDDINGS or table.startswith(f"{EMBEDDINGS}-")


def check_own_tables(tables: Iterable[TableSchema]) -> None:
    """Raises DatasetError if tables share a name, or have one that another of the dataset's files needs."""
    names = [table.name for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise DatasetError(f"tables: names must differ, got {names}")
        if name in _RESERVED or name.endswith(_RESERVED_ENDINGS):
            raise DatasetError(f"table '{name}': other files of a dataset have this name; choose another")


def embeddings_table(width: int, vector_type: VectorType, name: str = EMBEDDINGS) -> TableSchema:
    """Returns `embeddings`, or another table of embeddings: key, embedding[width], and for int8 embedding_scale."""
    columns = [_key(), ColumnSchema(name=EMBEDDING, type="vector", width=width, vector_type=vector_type)]
    if vector_type == "int8":
        columns.append(ColumnSchema(name=scale_column(EMBEDDING), type="scale"))
    return TableSchema(name=name, columns=columns)


def captions_table(named: Iterable[str] = ()) -> TableSchema:
    """Returns `captions`: key, texts (any number per image), and one more list of texts for each of `named`."""
    lists = [ColumnSchema(name=name, type="list<string>") for name in ("texts", *named)]
    return TableSchema(name="captions", columns=[_key(), *lists])


def labels_table() -> TableSchema:
    """Returns `labels`: key, label (a class name or number as text; "" for none)."""
    return TableSchema(name="labels", columns=[_key(), ColumnSchema(name="label", type="string")])


def failures_table() -> TableSchema:
    """Returns `failures`: the rows that could not be embedded, and why; not aligned with the other tables."""
    words = [ColumnSchema(name=name, type="string") for name in ("source", "reason", "message")]
    return TableSchema(name=FAILURES, columns=[_key(), *words], aligned=False)
