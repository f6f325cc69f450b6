"""Options of the parts that JAX computes, apart from their code.

Here because importing JAX takes seconds: a recipe can be read, changed, checked and explained (`--help`) without it.
Options of parts that need no JAX stand beside their code: tune/texts.py and tune/tokenizers.py.
"""

import dataclasses
import typing
from typing import Literal

Pooling = Literal["last", "first", "average", "max"]
ComputeType = Literal["float32", "bfloat16"]
OptimizerName = Literal["adam"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTowerOptions:
    """The tower's shape; the defaults are the paper's base size.

    Attributes:
      width: size of a position's vector.
      depth: number of blocks.
      num_heads: attention heads; must divide `width`.
      mlp_width: hidden size of a block's two-layer perceptron; 4 * width is usual.
      pooling: how the positions' vectors become one.
    """

    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_width: int = 3072
    pooling: Pooling = "last"

    def __post_init__(self):
        for name in ("width", "depth", "num_heads", "mlp_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"text_tower.{name} must be >= 1, got {getattr(self, name)}")
        if self.width % self.num_heads:
            raise ValueError(
                f"text_tower.num_heads must divide the width: width {self.width}, num_heads {self.num_heads}"
            )
        if self.pooling not in ("last", "first", "average", "max"):
            raise ValueError(f"text_tower.pooling must be 'last', 'first', 'average' or 'max', got {self.pooling!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """What trains the parameters.

    Attributes:
      name: a name in `OPTIMIZERS` (tune/optimizer.py).
      learning_rate: at the schedule's peak.
      weight_decay: share of a kernel removed per step at the schedule's peak; not times the learning rate.
      beta1: decay of the gradients' running mean.
      beta2: decay of the squared gradients' running mean.
      epsilon: added to the root of the latter.
      clip_norm: largest global norm of the gradients; None leaves them.
      warmup_steps: steps of linear warm-up.
      schedule: after the warm-up, `cosine` to 0 at the last step, or `constant`.
    """

    name: OptimizerName = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self):
        if self.name not in typing.get_args(OptimizerName):
            raise ValueError(f"optimizer.name must be one of {list(typing.get_args(OptimizerName))}, got {self.name!r}")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"optimizer.schedule must be 'cosine' or 'constant', got {self.schedule!r}")
        for name in ("learning_rate", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optimizer.{name} must be > 0, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimizer.{name} must be >= 0, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optimizer.{name} must be in [0, 1), got {getattr(self, name)}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"optimizer.clip_norm must be > 0 or None, got {self.clip_norm}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSideOptions:
    """What happens to stored vectors.

    Attributes:
      standardise: whether each feature is shifted and scaled to mean 0 and deviation 1 over the dataset.
      head_width: width of a trained linear head, which the text tower shares; None for no head.
    """

    standardise: bool = False
    head_width: int | None = None

    def __post_init__(self):
        if self.head_width is not None and self.head_width < 1:
            raise ValueError(f"image_side.head_width must be >= 1 or None, got {self.head_width}")
