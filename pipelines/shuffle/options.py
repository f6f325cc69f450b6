"""What to shuffle, and how."""

import dataclasses

from lit_precompute.schemas.storage import absolute


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShuffleOptions:
    """What to shuffle.

    Attributes:
      dataset: the dataset.
      output: where the shuffled dataset is written: a directory or URL.
      seed: of the permutation.
      rows_per_shard: rows of each shard but the last.
    """

    dataset: str
    output: str
    seed: int = 0
    rows_per_shard: int = 65_536

    def with_absolute_paths(self) -> "ShuffleOptions":
        """Returns the options with paths that mean the same in every process."""
        return dataclasses.replace(
            self, dataset=absolute(self.dataset, what="dataset", writing=False), output=absolute(self.output)
        )
