"""Recipes: named, complete training configurations, as data.

Promises: a recipe is frozen and checked; as JSON it comes back equal, and unknown keys are errors. Every field can be
overridden on the command line (`--optimizer.learning-rate 1e-3`).
"""

import dataclasses
import types
import typing
from typing import Any, Literal

from tune.image_side import ImageSideOptions
from tune.optimizer import OptimizerOptions
from tune.text_tower import TextTowerOptions
from tune.texts import TextOptions
from tune.tokenizers import TokenizerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions:
    """The contrastive loss.

    Attributes:
      initial_scale: 1/temperature at the start; it is learnt, as its natural log.
      tile_rows: texts whose similarities are in memory at once.
    """

    initial_scale: float = 10.0
    tile_rows: int = 512

    def __post_init__(self):
        if not self.initial_scale > 0:
            raise ValueError(f"loss.initial_scale must be > 0, got {self.initial_scale}")
        if self.tile_rows < 1:
            raise ValueError(f"loss.tile_rows must be >= 1, got {self.tile_rows}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a training run, beside the dataset.

    Attributes:
      text: how a picture's texts become tokens.
      tokenizer: pieces or words; given or trained on the captions.
      text_tower: the tower's shape.
      image_side: what happens to the stored vectors.
      loss: scale and tiles.
      optimizer: what trains.
      batch_size: pairs that are compared with each other.
      micro_batch_size: texts in the tower at once; bounds memory and does not change the result.
      num_epochs: passes over the dataset.
      num_steps: steps instead of passes, where given.
      seed: of parameters, order and drawn texts.
      compute_type: of the text tower's matrix products; parameters and the loss are float32.
      memory_budget_bytes: vectors and tokens kept in memory; a larger dataset is read in shuffled windows.
      log_every_steps: between two lines of metrics.
      checkpoint_every_steps: between two checkpoints.
    """

    text: TextOptions = dataclasses.field(default_factory=TextOptions)
    tokenizer: TokenizerOptions = dataclasses.field(default_factory=TokenizerOptions)
    text_tower: TextTowerOptions = dataclasses.field(default_factory=TextTowerOptions)
    image_side: ImageSideOptions = dataclasses.field(default_factory=ImageSideOptions)
    loss: LossOptions = dataclasses.field(default_factory=LossOptions)
    optimizer: OptimizerOptions = dataclasses.field(default_factory=OptimizerOptions)
    batch_size: int = 16_384
    micro_batch_size: int = 1_024
    num_epochs: float = 20.0
    num_steps: int | None = None
    seed: int = 0
    compute_type: Literal["float32", "bfloat16"] = "float32"
    memory_budget_bytes: int = 4 << 30
    log_every_steps: int = 50
    checkpoint_every_steps: int = 1_000

    def __post_init__(self):
        for name in ("batch_size", "micro_batch_size", "log_every_steps", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.batch_size < 2:
            raise ValueError(f"batch_size must be >= 2, a pair is compared with others; got {self.batch_size}")
        if not self.num_epochs > 0 or (self.num_steps is not None and self.num_steps < 1):
            raise ValueError(f"num_epochs must be > 0 and num_steps >= 1, got {self.num_epochs} and {self.num_steps}")

    def count_steps(self, num_batches_per_epoch: int) -> int:
        """Returns the number of steps on a dataset of so many batches."""
        return self.num_steps or max(1, round(self.num_epochs * num_batches_per_epoch))

    def to_json(self) -> dict[str, Any]:
        """Returns the recipe as nested dictionaries."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Recipe":
        """Returns the recipe that `to_json` gave.

        Raises:
          ValueError: unknown or missing keys, or values that break a rule.
        """
        return _from_json(cls, fields, "recipe")


def _from_json(kind: Any, fields: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if set(fields) != set(hints):
        unknown, missing = sorted(set(fields) - set(hints)), sorted(set(hints) - set(fields))
        raise ValueError(f"{where}: unknown keys {unknown}, missing keys {missing}")
    nested = {
        name: _from_json(hints[name], value, f"{where}.{name}") if dataclasses.is_dataclass(hints[name]) else value
        for name, value in fields.items()
    }
    return kind(**nested)


# The paper's own data setting (appendix A): 900 million pairs seen. Adam stands where the paper has Adafactor.
_LIT_BASE = Recipe(
    optimizer=OptimizerOptions(learning_rate=1e-3, weight_decay=0.0, warmup_steps=10_000, clip_norm=1.0),
    batch_size=16_384,
    num_steps=55_000,
    compute_type="bfloat16",
    memory_budget_bytes=16 << 30,
)

# Appendix B: 20 epochs of CC12M, decoupled decay 1e-4, gradients clipped at norm 1, a text tower from scratch.
_CC12M = Recipe(
    optimizer=OptimizerOptions(learning_rate=1e-3, weight_decay=1e-4, warmup_steps=2_000, clip_norm=1.0),
    batch_size=16_384,
    num_steps=12_000,
    compute_type="bfloat16",
    memory_budget_bytes=16 << 30,
)

# Small data on two cores: a vocabulary of whole words and a small tower.
_DEMO = Recipe(
    text=TextOptions(choice="sample", max_tokens=16),
    tokenizer=TokenizerOptions(kind="words", vocabulary_size=8_000),
    text_tower=TextTowerOptions(width=256, depth=2, num_heads=4, mlp_width=1_024, pooling="average"),
    image_side=ImageSideOptions(standardise=True),
    optimizer=OptimizerOptions(learning_rate=1e-3, weight_decay=1e-4, warmup_steps=20, clip_norm=1.0),
    batch_size=512,
    micro_batch_size=512,
    num_epochs=40.0,
    log_every_steps=10,
    checkpoint_every_steps=60,
)

RECIPES: types.MappingProxyType[str, Recipe] = types.MappingProxyType(
    {"demo": _DEMO, "lit-base": _LIT_BASE, "cc12m": _CC12M}
)
