"""What to deduplicate, and against what."""

import dataclasses
import math

from lit_precompute.schemas.sharing.selection import SUFFIX
from lit_precompute.schemas.storage import absolute
from lit_precompute.schemas.tables import EMBEDDINGS


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeduplicateOptions:
    """What to deduplicate.

    Attributes:
      dataset: the dataset, of which rows are removed.
      output: the selection to write.
      against: evaluation datasets, embedded with the same tower.
      within: whether near-duplicates of earlier rows of the dataset are removed, too.
      threshold: the least cosine of near-duplicates.
      table: the table of embeddings; of an evaluation dataset that has none of this name, `embeddings`.
      slab_rows: rows of a piece of work; None chooses by the embeddings' width.
    """

    dataset: str
    output: str
    against: tuple[str, ...] = ()
    within: bool = False
    threshold: float = 0.95
    table: str = EMBEDDINGS
    slab_rows: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for options that cannot be meant."""
        if not self.output.endswith(SUFFIX):
            raise ValueError(f"--output {self.output}: a selection's name must end in {SUFFIX}")
        if not self.against and not self.within:
            raise ValueError("nothing to compare with: give --against EVAL..., --within, or both")
        if not (math.isfinite(self.threshold) and 0 < self.threshold <= 1):
            raise ValueError(f"--threshold must be above 0 and at most 1, got {self.threshold}")
        if (repeated := next((each for each in self.against if self.against.count(each) > 1), None)) is not None:
            raise ValueError(f"--against {repeated}: is given twice; give it once")
        if self.slab_rows is not None and self.slab_rows < 1:
            raise ValueError(f"slab_rows must be >= 1, got {self.slab_rows}")

    def with_absolute_paths(self) -> "DeduplicateOptions":
        """Returns the options with paths that mean the same in every process."""
        return dataclasses.replace(
            self,
            dataset=absolute(self.dataset, what="dataset", writing=False),
            against=tuple(absolute(path, what="--against", writing=False) for path in self.against),
            output=absolute(self.output),
        )
