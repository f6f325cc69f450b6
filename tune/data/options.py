"""Which rows of the datasets make up a batch."""

from __future__ import annotations

import dataclasses

from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.towers.options import OptionsError

JOINED, ALTERNATE = "joined", "alternate"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which rows of the datasets make up a batch.

    Attributes:
      mixture: of several datasets: joined (all rows in one order), alternate (batches in turn), or weights as 0.7,0.3.
      held_out: so many first (selected) rows of the first dataset are never trained on, but validated on; 0: none.
      views: whether each epoch draws one of an image's views (`lit-embed run --views N`), never the plain one.
      table: table of embeddings to train on; its views are those named after it.
    """

    mixture: str = JOINED
    held_out: int = 0
    views: bool = False
    table: str = EMBEDDINGS

    def __post_init__(self):
        self.weights()
        if self.held_out < 0 or self.held_out == 1:
            raise OptionsError(f"data.held_out must be 0 or >= 2, got {self.held_out}")

    def weights(self) -> tuple[float, ...] | None:
        """Returns the weight of each dataset, all > 0; None where the mixture is not one of weights.

        Raises:
          OptionsError: the mixture is neither a name nor such numbers.
        """
        if self.mixture in (JOINED, ALTERNATE):
            return None
        try:
            weights = tuple(float(part) for part in self.mixture.split(","))
        except ValueError:
            weights = ()
        if not weights or not all(0 < weight < float("inf") for weight in weights):
            raise OptionsError(
                f"data.mixture must be {JOINED}, {ALTERNATE} or a number > 0 for each dataset, such as 0.7,0.3, "
                f"got {self.mixture!r}"
            )
        return weights

    def check_fits(self, num_datasets: int) -> None:
        """Raises OptionsError if there is not one weight for each dataset."""
        weights = self.weights()
        if weights is not None and len(weights) != num_datasets:
            raise OptionsError(
                f"data.mixture must have a weight for each of the {num_datasets} datasets, in their order, "
                f"got {self.mixture!r}"
            )
