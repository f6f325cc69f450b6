"""An embedding job: everything that determines its dataset, and what marks a finished shard."""

import dataclasses
from typing import Any

from lit_precompute.pipelines.embed.planned_files import PlannedFiles
from lit_precompute.precompute.images.limits import MAX_PIXELS
from lit_precompute.schemas import (
    Note,
    Probe,
    ShardInfo,
    SourceInfo,
    TableSchema,
    TowerCard,
    VectorType,
    embeddings_table,
    failures_table,
)
from lit_precompute.schemas.manifest import FORMAT_VERSION

BLOCK_ROWS = 1024


class JobError(ValueError):
    """The job cannot run or resume as requested."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardMarker:
    """A finished shard with its probes, notes and failures: for each reason the number of rows and the first key."""

    info: ShardInfo
    probes: list[Probe]
    reasons: dict[str, tuple[int, str]]
    notes: list[Note]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A planned job: everything that determines the dataset's bytes. `source_tables` are filled from the source,
    `source_notes` say what of it belongs to no row. `files` are the versions of its files that this launch embeds.
    """

    output: str
    tower: TowerCard
    source: SourceInfo
    num_rows: int
    num_units: int
    source_tables: tuple[TableSchema, ...]
    source_notes: tuple[Note, ...]
    vector_type: VectorType
    batch_size: int
    rows_per_shard: int
    max_pixels: int = MAX_PIXELS
    files: PlannedFiles = dataclasses.field(default_factory=PlannedFiles)

    def tables(self) -> list[TableSchema]:
        """Returns the tables of every shard."""
        return [embeddings_table(self.tower.output_width, self.vector_type), *self.source_tables, failures_table()]

    def options(self) -> dict[str, Any]:
        """Returns the options that are recorded in the manifest."""
        return {
            "producer": "lit-embed run",
            "rows_per_shard": self.rows_per_shard,
            "batch_size": self.batch_size,
            "vector_type": self.vector_type,
            # It decides which images fail; datasets of before it was an option do not have it.
            **({} if self.max_pixels == MAX_PIXELS else {"max_pixels": self.max_pixels}),
        }

    def specification(self) -> dict[str, Any]:
        """Returns what must be equal for a run to resume another one."""
        return {
            "format_version": FORMAT_VERSION,
            "tower": self.tower.model_dump(),
            "source": self.source.model_dump(),
            "options": self.options(),
        }
