"""manifest.json of format version 3: what is in it, and the rules among its parts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pydantic

from lit_precompute.schemas.manifest.parts import (
    Attachment,
    Count,
    Environment,
    Ledger,
    ListInfo,
    Note,
    Probe,
    Reference,
)
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import (
    EMBEDDING,
    EMBEDDINGS,
    StrictModel,
    TableSchema,
    check_own_tables,
    is_embeddings,
    json_digest,
)
from lit_precompute.schemas.tower_card import TowerCard

_ATTACHMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class ListedSource(StrictModel):
    """The source without its files, which are a list of their own."""

    kind: str
    path: str
    options: dict[str, Any]
    num_files: Count
    num_bytes: Count


class Lists(StrictModel):
    """The lists beside the manifest."""

    shards: ListInfo
    source: ListInfo


class Document(StrictModel):
    """The contents of manifest.json (docs/format.md describes every key)."""

    format_version: Literal[3]
    towers: dict[str, TowerCard]
    source: ListedSource
    job: dict[str, Any]
    order: Literal["source", "shuffled"]
    block_rows: int = pydantic.Field(ge=1, lt=1 << 31)
    tables: list[TableSchema]
    environments: list[Environment]
    ledger: Ledger
    notes: list[Note]
    probes: list[Probe]
    attachments: dict[str, Attachment]
    references: list[Reference]
    lists: Lists
    digest: str

    def check(self, where: str) -> None:
        """Raises DatasetError, with a message that begins with `where`, unless the parts agree with each other."""
        check_towers(where, self.tables, self.towers)
        for table in self.tables:
            if table.reference is not None and table.reference >= len(self.references):
                raise DatasetError(
                    f"{where}tables.{table.name}.reference must be one of {len(self.references)} references, "
                    f"got {table.reference}"
                )
        check_attachment_names(where, self.attachments)
        for probe in self.probes:
            if set(probe.vectors) != set(self.towers):
                raise DatasetError(
                    f"{where}probes: row {probe.row} must have vectors of {sorted(self.towers)}, "
                    f"got {sorted(probe.vectors)}"
                )


def check_towers(where: str, tables: Sequence[TableSchema], towers: Mapping[str, TowerCard]) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless tables and towers' cards fit.

    Every table of embeddings needs a card, and one vector column of its width, `embedding`.
    """
    check_own_tables(tables)
    names = [table.name for table in tables if is_embeddings(table.name)]
    if names[:1] != [EMBEDDINGS] or tables[0].name != EMBEDDINGS:
        raise DatasetError(f"{where}tables: the first must be '{EMBEDDINGS}', got {[table.name for table in tables]}")
    if set(towers) != set(names):
        raise DatasetError(f"{where}towers: must be one card for each of the tables {names}, got {sorted(towers)}")
    for table in tables:
        if table.name in towers:
            check_width(where, table, towers[table.name])


def check_width(where: str, table: TableSchema, tower: TowerCard) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless embeddings have the tower's width."""
    found = {column.name: column.width for column in table.columns if column.type == "vector"}
    if found != {EMBEDDING: tower.output_width} or not table.aligned:
        raise DatasetError(
            f"{where}table '{table.name}' must be aligned and have one vector column, '{EMBEDDING}', of the tower's "
            f"width {tower.output_width}, got {found}"
        )


def check_attachment_names(where: str, names: Mapping[str, Any]) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless attachments can have these names."""
    for name in names:
        if not _ATTACHMENT.fullmatch(name):
            raise DatasetError(
                f"{where}attachment {name!r}: a name may only have letters, digits, '_', '.' and '-', and must not "
                "begin with '.' or '-'"
            )


def digest(content: dict[str, Any]) -> str:
    """Returns the SHA-256 of the manifest's canonical JSON without its `digest`."""
    return json_digest({key: value for key, value in content.items() if key != "digest"})
