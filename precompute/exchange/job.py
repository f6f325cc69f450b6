"""What an import writes: tables, declared towers, types."""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.precompute.exchange.rows import ImportPlan, text_embeddings_table
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas import (
    Manifest,
    SourceInfo,
    TableSchema,
    TowerCard,
    VectorType,
    embeddings_table,
    failures_table,
)
from lit_precompute.schemas.tables import EMBEDDINGS, is_embeddings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declared:
    """What the user says of a source's towers, and how vectors are stored.

    Attributes:
      tower: name of the tower that made the embeddings; "" for the one that the layout knows.
      weights: what its weights are called.
      vector_type: type in which vectors are stored; None for the one that loses nothing.
    """

    tower: str = ""
    weights: str = ""
    vector_type: VectorType | None = None


class ImportJob:
    """What an import writes, and the note by which it is known again.

    Attributes:
      plan: of the source.
      types: in which vectors are stored, by table.
      towers: the card of each table of embeddings.
      tables: all, `failures` last.
      column: that of the vectors, by table.
      job: options, as the manifest has them.
      source: as the manifest has it.
    """

    def __init__(self, plan: ImportPlan, declared: Declared, block_rows: int):
        """Decides what is written.

        Raises:
          SourceError: no tower is known.
        """
        self.plan, self.block_rows = plan, block_rows
        self.types: dict[str, VectorType] = {
            each.name: declared.vector_type or each.vector_type for each in plan.vectors
        }
        self.towers = {
            each.name: TowerCard.declare(
                _tower(each.tower, declared.tower, each.name), each.width, weights=declared.weights
            )
            for each in plan.vectors
            if is_embeddings(each.name)
        }
        vectors = [
            embeddings_table(each.width, self.types[each.name], each.name)
            if is_embeddings(each.name)
            else text_embeddings_table(each.name, each.width, self.types[each.name])
            for each in plan.vectors
        ]
        self.tables: list[TableSchema] = [*vectors, *plan.tables, failures_table()]
        self.column = {table.name: table.columns[1].name for table in vectors}
        self.job = {"kind": "import", "layout": plan.layout, "types": self.types, "block_rows": block_rows}
        self.source = SourceInfo(kind=plan.layout, path=plan.path, files=list(plan.files), options=dict(plan.options))

    def made(self, manifest: Manifest) -> bool:
        """Returns whether a dataset is what this import makes."""
        return (manifest.job, manifest.source.info(), manifest.towers) == (self.job, self.source, self.towers)

    @property
    def description(self) -> dict[str, Any]:
        """What must be the same for an import to be continued."""
        source = self.source.model_dump(exclude={"files"})
        files = hash_keys(f"{file.path} {file.bytes}" for file in self.plan.files)
        units = hash_keys(f"{unit.name} {unit.start} {unit.stop}" for unit in self.plan.units)
        towers = {table: card.fingerprint for table, card in self.towers.items()}
        hashes = {"files": hash_keys([files.hex()]).hex(), "units": hash_keys([units.hex()]).hex()}
        return {**self.job, "source": source, "towers": towers, **hashes}


def _tower(known: str, given: str, table: str) -> str:
    if not (given or known):
        raise SourceError(
            f"table '{table}': the source does not say which tower made its embeddings; name it with --tower, as its "
            "publisher does"
        )
    return given if given and table == EMBEDDINGS else known or given
