"""Execution settings: how a training is computed on this machine, as opposed to what is trained (`recipe`).

Promises: they do not change the result, except for rounding. (A memory budget that would change the order of rows is
refused on resume.)
"""

import dataclasses

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """Execution settings; may change on resume.

    Attributes:
      micro_batch_size: pairs whose activations are in memory at once; None: the whole batch.
      tile_rows: texts of a tile, whose similarities are in memory at once; None: as many as suit the device.
      tile_columns: images of a tile: tile_rows x tile_columns floats are in memory; None: as many as suit the device.
      memory_budget_bytes: for embeddings and tokens; a larger dataset is read in windows of shuffled blocks.
      log_every_steps: steps between two lines of metrics.
      checkpoint_every_steps: steps between two checkpoints; the last step always has one.
      validate_every_steps: steps between two validations on the rows of data.held_out; None: after the last step alone.
    """

    micro_batch_size: int | None = None
    tile_rows: int | None = None
    tile_columns: int | None = None
    memory_budget_bytes: int = 4 << 30
    log_every_steps: int = 10
    checkpoint_every_steps: int = 1000
    validate_every_steps: int | None = None

    def __post_init__(self):
        for name in ("memory_budget_bytes", "log_every_steps", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                raise OptionsError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("micro_batch_size", "tile_rows", "tile_columns", "validate_every_steps"):
            if (size := getattr(self, name)) is not None and size < 1:
                raise OptionsError(f"{name} must be >= 1 or None, got {size}")

    def check_fits(self, recipe: Recipe) -> None:
        """Raises OptionsError if a micro-batch would be larger than the recipe's batch, or nothing is validated on."""
        if self.validate_every_steps is not None and not recipe.data.held_out:
            raise OptionsError(
                "validate_every_steps must be None where data.held_out is 0, since no row is held out to validate on, "
                f"got {self.validate_every_steps}"
            )
        if self.micro_batch_size is not None and self.micro_batch_size > recipe.batch_size:
            raise OptionsError(
                f"micro_batch_size must be in [1, batch_size], which is {recipe.batch_size}, or None, "
                f"got {self.micro_batch_size}"
            )
