"""An embedding job: everything that determines its dataset."""

import dataclasses
from typing import Any

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.precompute.images.limits import MAX_PIXELS
from lit_precompute.schemas import TableSchema, TowerCard, embeddings_table, failures_table
from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.towers.fingerprint import fingerprint
from lit_precompute.towers.preprocessing import Preprocessing

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

    def towers(self) -> dict[str, TowerCard]:
        """Returns the card of each table of embeddings: `embeddings`, then those of the views."""
        views = range(1, self.options.views + 1)
        return {
            EMBEDDINGS: self.tower,
            **{f"{EMBEDDINGS}-view{view}": _card_of_view(self.tower, view) for view in views},
        }

    def tables(self) -> list[TableSchema]:
        """Returns the tables of every shard."""
        width, vector_type = self.tower.output_width, self.options.vector_type
        embeddings = [embeddings_table(width, vector_type, name) for name in self.towers()]
        return [*embeddings, *self.plan.tables, failures_table()]

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
        # These decide which rows and tables there are; absent by default, as before they were options.
        **({} if max_pixels == MAX_PIXELS else {"max_pixels": max_pixels}),
        **({} if options.limit is None else {"limit": options.limit}),
        **({} if options.limit_seed is None else {"limit_seed": options.limit_seed}),
        **({"views": options.views} if options.views else {}),
    }


def specification(options: EmbedOptions, plan: Plan) -> dict[str, Any]:
    """Returns what must be equal for a run to resume another one, but for the tower and the batch size."""
    return {
        "format_version": FORMAT_VERSION,
        "source": plan.describe()["source"],
        "options": recorded(options),
    }


def _card_of_view(card: TowerCard, view: int) -> TowerCard:
    """Returns a tower's card for a random view, whose preprocessing and fingerprint differ."""
    preprocessing = Preprocessing.from_json(card.preprocessing).of_view(view).to_json()
    hashed = fingerprint(card.architecture, preprocessing, card.weights_sha256)
    return card.model_copy(update={"preprocessing": preprocessing, "fingerprint": hashed})
