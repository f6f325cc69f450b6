"""Options of the image side; importable without JAX, whose import takes seconds."""

import dataclasses

from lit_precompute.towers.heads import HeadOptions, LinearHeadOptions
from lit_precompute.towers.options import OptionsError

_MAX_WIDTH = 1_000_000  # far above any embedding


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSideOptions:
    """What happens to stored embeddings.

    Attributes:
      standardise: whether each feature is shifted and scaled to mean 0 and deviation 1 over the dataset.
      head_width: width of a trained head's results, which the text tower shares; None: that of the embeddings, which a
        linear head would add nothing to, so that there is none.
      head: kind of the head.
    """

    standardise: bool = False
    head_width: int | None = None
    head: HeadOptions = dataclasses.field(default_factory=LinearHeadOptions)

    def __post_init__(self):
        if self.head_width is not None and not 1 <= self.head_width <= _MAX_WIDTH:
            raise ValueError(f"image_side.head_width must be in [1, {_MAX_WIDTH}] or None, got {self.head_width}")
        if self.head_width is not None and self.head.kind == "none":
            raise OptionsError(
                f"image_side.head_width must be None where image_side.head.kind is none, got {self.head_width}"
            )
