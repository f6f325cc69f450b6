"""Options of the image side, and of what is trained; importable without JAX, whose import takes seconds."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedOptions:
    """Which of the text tower's parameters are trained, and how fast.

    Attributes:
      locked: names that keep their start values: patterns such as `token_embedding/*,blocks/0/*`, separated by commas.
      last_layers: how many of the last blocks are trained, with what follows them; 0: pooling and head; None: all.
      layer_decay: what each block's learning rate is of the next one's; 1.0: the same.
    """

    locked: str = ""
    last_layers: int | None = None
    layer_decay: float = 1.0

    def __post_init__(self):
        if self.last_layers is not None and self.last_layers < 0:
            raise ValueError(f"trained.last_layers must be >= 0 or None, got {self.last_layers}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"trained.layer_decay must be in (0, 1], got {self.layer_decay}")

    def patterns(self) -> list[str]:
        """Returns the patterns of `locked`."""
        return [pattern.strip() for pattern in self.locked.split(",") if pattern.strip()]
