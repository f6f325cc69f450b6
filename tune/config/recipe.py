"""Recipes: complete, named training configurations, as data.

Promises: a recipe together with a dataset and the library's version says everything that the result depends on; it is
checked across fields when it is made; `to_json` and `from_json` agree, and unknown keys are errors. The options of each
part live beside their code and are gathered here.

Does not: read flags. A field's path, such as `optimizer.learning_rate`, is its name on the command line.
"""

import dataclasses
import types
import typing
from typing import Any

from lit_precompute.towers.options import ComputeType, OptionsError, read_options
from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.tokenizers.tokenizer import TokenizerOptions
from lit_precompute.tune.data.texts import TextOptions
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.optimizers.options import OptimizerOptions

# They say how to compute, not what: a run may go on with others. (The result is the same but for rounding; where
# memory would change the order of rows, going on is refused by the order itself.)
HOW_FIELDS = (
    "micro_batch_size",
    "loss.tile_rows",
    "memory_budget_bytes",
    "log_every_steps",
    "checkpoint_every_steps",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions:
    """The contrastive loss.

    Attributes:
      initial_scale: what similarities are multiplied by at the start, that is 1/temperature; learnt as its logarithm.
      tile_rows: texts whose similarities to the whole batch stand in memory at once: tile_rows x batch_size floats.
    """

    initial_scale: float = 10.0
    tile_rows: int = 512

    def __post_init__(self):
        _check(self.initial_scale > 0, "loss.initial_scale", "> 0", self.initial_scale)
        _check(self.tile_rows >= 1, "loss.tile_rows", ">= 1", self.tile_rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete configuration; the defaults are sensible for a few hundred thousand pairs.

    Attributes:
      text: how a picture's texts become tokens.
      tokenizer: which tokenizer.
      text_tower: the tower's shape.
      image_side: what happens to the image vectors.
      loss: the contrastive loss.
      optimizer: what trains the parameters.
      batch_size: pairs per step; each picture is told from all others of its batch.
      micro_batch_size: texts whose activations are in memory at once; None: the whole batch. Changes memory, not the
        result.
      num_epochs: passes over the dataset, unless num_steps is given.
      num_steps: steps, instead of num_epochs.
      compute_type: type of the text tower's products; parameters and the loss are float32 in any case.
      seed: of parameters, order and texts.
      memory_budget_bytes: for vectors and tokens; a larger dataset is read in windows of shuffled blocks.
      log_every_steps: steps between two lines of metrics.
      checkpoint_every_steps: steps between two checkpoints; one is written at the end, too.
    """

    text: TextOptions = dataclasses.field(default_factory=TextOptions)
    tokenizer: TokenizerOptions = dataclasses.field(default_factory=TokenizerOptions)
    text_tower: TextTowerOptions = dataclasses.field(default_factory=TextTowerOptions)
    image_side: ImageSideOptions = dataclasses.field(default_factory=ImageSideOptions)
    loss: LossOptions = dataclasses.field(default_factory=LossOptions)
    optimizer: OptimizerOptions = dataclasses.field(default_factory=OptimizerOptions)
    batch_size: int = 4096
    micro_batch_size: int | None = None
    num_epochs: int | None = 20
    num_steps: int | None = None
    compute_type: ComputeType = "float32"
    seed: int = 0
    memory_budget_bytes: int = 4 << 30
    log_every_steps: int = 10
    checkpoint_every_steps: int = 1000

    def __post_init__(self):
        for name in ("batch_size", "memory_budget_bytes", "log_every_steps", "checkpoint_every_steps"):
            _check(getattr(self, name) >= 1, name, ">= 1", getattr(self, name))
        # Two pairs are the fewest that can be told apart.
        _check(self.batch_size >= 2, "batch_size", ">= 2", self.batch_size)
        if self.micro_batch_size is not None:
            rule = f"in [1, batch_size], which is {self.batch_size}, or None"
            _check(1 <= self.micro_batch_size <= self.batch_size, "micro_batch_size", rule, self.micro_batch_size)
        if (self.num_epochs is None) == (self.num_steps is None):
            raise OptionsError(
                "exactly one of num_epochs and num_steps must be given, "
                f"got num_epochs {self.num_epochs}, num_steps {self.num_steps}"
            )
        for name in ("num_epochs", "num_steps"):
            value = getattr(self, name)
            _check(value is None or value >= 1, name, ">= 1", value)
        if self.num_steps is not None:
            self.check_warmup(self.num_steps)
        _check(
            self.compute_type in typing.get_args(ComputeType), "compute_type", "float32 or bfloat16", self.compute_type
        )
        _check(0 <= self.seed < 2**32, "seed", "in [0, 2**32)", self.seed)

    def count_steps(self, num_batches_per_epoch: int) -> int:
        """Returns the steps of training on a dataset of so many batches.

        Raises:
          OptionsError: the warm-up is as long as that.
        """
        num_steps = self.num_steps if self.num_epochs is None else self.num_epochs * num_batches_per_epoch
        assert num_steps is not None
        self.check_warmup(num_steps)
        return num_steps

    def check_warmup(self, num_steps: int) -> None:
        """Raises OptionsError unless the warm-up ends before the training."""
        rule = f"< the {num_steps:,} steps of training"
        _check(self.optimizer.warmup_steps < num_steps, "optimizer.warmup_steps", rule, self.optimizer.warmup_steps)

    def to_json(self) -> dict[str, Any]:
        """Returns the recipe as JSON values, every field given."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "Recipe":
        """Returns the recipe; a field that is left out has its default.

        Raises:
          OptionsError: an unknown key, a value of the wrong type or one that breaks a rule.
        """
        return read_options(cls, content)


def _check(holds: bool, where: str, rule: str, value: Any) -> None:
    if not holds:
        raise OptionsError(f"{where} must be {rule}, got {value}")


_BASE_TOWER = TextTowerOptions(width=768, depth=12, num_heads=12, mlp_width=3072)

# Small data on two cores: whole words, a small tower.
_DEMO = Recipe(
    text=TextOptions(choice="sample", max_tokens=12),
    tokenizer=TokenizerOptions(kind="words", vocabulary_size=8_000),
    text_tower=TextTowerOptions(width=256, depth=1, num_heads=4, mlp_width=1_024, pooling="average"),
    image_side=ImageSideOptions(standardise=True),
    optimizer=OptimizerOptions(learning_rate=2e-3, weight_decay=1e-4, warmup_steps=20, clip_norm=1.0),
    batch_size=512,
    num_epochs=40,
    log_every_steps=10,
    checkpoint_every_steps=60,
)

# Source: arXiv:2111.07991, appendix B, with the text ViT and its SentencePiece of section 5.5. The paper holds out the
# first 50,000 pairs; here that is a matter of the dataset.
_CC12M = Recipe(
    text_tower=_BASE_TOWER,
    optimizer=OptimizerOptions(learning_rate=1e-3, weight_decay=1e-4, warmup_steps=2_000, clip_norm=1.0),
    batch_size=16_384,
    micro_batch_size=1_024,
    num_epochs=20,
    compute_type="bfloat16",
    memory_budget_bytes=16 << 30,
    log_every_steps=50,
)

# Source: arXiv:2111.07991, appendix A: 900 million pairs, no decay. It names no clipping; big_vision clips at 1.
# The paper's optimiser is Adafactor; Adam stands in until that is one of `tune.optimizers.chain.OPTIMIZERS`.
_LIT_BASE = dataclasses.replace(
    _CC12M,
    optimizer=OptimizerOptions(learning_rate=1e-3, weight_decay=0.0, warmup_steps=10_000, clip_norm=1.0),
    num_epochs=None,
    num_steps=55_000,
)

RECIPES: types.MappingProxyType[str, Recipe] = types.MappingProxyType(
    {"demo": _DEMO, "cc12m": _CC12M, "lit-base": _LIT_BASE}
)
PURPOSES: types.MappingProxyType[str, str] = types.MappingProxyType(
    {
        "demo": "a thousand or two pictures of a closed domain; about a minute on 2 cores",
        "cc12m": "the paper's setting for CC12M: ten million pairs, 20 epochs, batches of 16,384",
        "lit-base": "the paper's setting for very large data: 900 million pairs (Adam stands in for Adafactor)",
    }
)


def find_recipe(name: str) -> Recipe:
    """Returns a named recipe.

    Raises:
      OptionsError: there is none of that name.
    """
    if name not in RECIPES:
        raise OptionsError(f"recipe must be one of {', '.join(RECIPES)}; got {name!r}")
    return RECIPES[name]
