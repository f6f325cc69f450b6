"""An embedding job: everything that determines its dataset."""

import dataclasses
from typing import Any

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.plan import Plan
from lit_precompute.precompute.images.limits import MAX_PIXELS
from lit_precompute.schemas import TableSchema, TowerCard, embeddings_table, failures_table
from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION

BLOCK_ROWS = 1024


class JobError(ValueError):
    """The job cannot run or resume as requested."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A planned job whose tower and batch size are settled."""

    options: EmbedOptions
    plan: Plan
    tower: TowerCard
    batch_size: int

    def tables(self) -> list[TableSchema]:
        """Returns the tables of every shard."""
        embeddings = embeddings_table(self.tower.output_width, self.options.vector_type)
        return [embeddings, *self.plan.tables, failures_table()]

    def recorded(self) -> dict[str, Any]:
        """Returns the options that the manifest records."""
        return {**recorded(self.options), "batch_size": self.batch_size}


def recorded(options: EmbedOptions) -> dict[str, Any]:
    """Returns the options that a job records before its batch size is known, if none is given."""
    batch_size = {} if options.batch_size is None else {"batch_size": options.batch_size}
    max_pixels = options.decoding.max_pixels
    return {
        "producer": "lit-embed run",
        "rows_per_shard": options.rows_per_shard,
        **batch_size,
        "vector_type": options.vector_type,
        # These decide which rows there are; absent by default, as before they were options.
        **({} if max_pixels == MAX_PIXELS else {"max_pixels": max_pixels}),
        **({} if options.limit is None else {"limit": options.limit}),
    }


def specification(options: EmbedOptions, plan: Plan) -> dict[str, Any]:
    """Returns what must be equal for a run to resume another one, but for the tower and the batch size."""
    return {
        "format_version": FORMAT_VERSION,
        "source": plan.describe()["source"],
        "options": recorded(options),
    }
