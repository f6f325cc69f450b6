"""The recipe: what is trained.

Promises: a recipe, a dataset and the library's version define the result. A recipe checks itself, also across fields;
`to_json` and `from_json` round-trip, and unknown keys are errors. Each part owns its options.

Does not: say how it is computed on this machine (`execution`), or read flags. A field's path, such as
`optimizer.learning_rate`, is its name on the command line.
"""

import dataclasses
import typing
from typing import Any, Literal

from lit_precompute.towers.options import ComputeType, OptionsError, read_options
from lit_precompute.towers.text import StoredTextOptions, TextTowerOptions, ViTTextOptions
from lit_precompute.towers.tokenizers import SentencePieceOptions, TokenizerOptions
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.losses import LossOptions, SoftmaxOptions
from lit_precompute.tune.model.options import ImageSideOptions, TrainedOptions
from lit_precompute.tune.optimizers import AdamOptions, OptimizerOptions

# The text tower is trained from a random start, trained from pre-trained weights, or locked but for its head.
Setting = Literal["Lu", "LU", "LL"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A complete configuration; the defaults suit a few hundred thousand pairs.

    Attributes:
      data: which rows of the datasets make up a batch.
      text: how an image's texts become tokens.
      tokenizer: kind and vocabulary of the tokenizer.
      text_tower: kind and shape of the text tower.
      trained: which of the text tower's parameters are trained, and how fast.
      image_side: what happens to the stored embeddings.
      loss: the contrastive loss.
      optimizer: what trains the parameters.
      batch_size: pairs per step; each image is contrasted with every other text in the batch.
      num_epochs: passes over the rows, unless num_steps is given; of mixed batches, over the slowest dataset.
      num_steps: steps of training, instead of num_epochs.
      compute_type: type of the text tower's products; parameters and the loss are always float32.
      seed: for the parameters, the order of rows and the choice of texts.
    """

    data: DataOptions = dataclasses.field(default_factory=DataOptions)
    text: TextOptions = dataclasses.field(default_factory=TextOptions)
    tokenizer: TokenizerOptions = dataclasses.field(default_factory=SentencePieceOptions)
    text_tower: TextTowerOptions = dataclasses.field(default_factory=ViTTextOptions)
    trained: TrainedOptions = dataclasses.field(default_factory=TrainedOptions)
    image_side: ImageSideOptions = dataclasses.field(default_factory=ImageSideOptions)
    loss: LossOptions = dataclasses.field(default_factory=SoftmaxOptions)
    optimizer: OptimizerOptions = dataclasses.field(default_factory=AdamOptions)
    batch_size: int = 4096
    num_epochs: int | None = 20
    num_steps: int | None = None
    compute_type: ComputeType = "float32"
    seed: int = 0

    def __post_init__(self):
        # Two pairs are the fewest that can be contrasted.
        _check(self.batch_size >= 2, "batch_size", ">= 2", self.batch_size)
        if (self.num_epochs is None) == (self.num_steps is None):
            raise OptionsError(
                "exactly one of num_epochs and num_steps must be given, "
                f"got num_epochs {self.num_epochs}, num_steps {self.num_steps}"
            )
        for name in ("num_epochs", "num_steps"):
            value = getattr(self, name)
            _check(value is None or value >= 1, name, ">= 1", value)
        if self.num_steps is not None:
            self.optimizer.check_duration(self.num_steps)
        _check(
            self.compute_type in typing.get_args(ComputeType), "compute_type", "float32 or bfloat16", self.compute_type
        )
        self.loss.check_batch(self.batch_size)
        _check(0 <= self.seed < 2**32, "seed", "in [0, 2**32)", self.seed)

    def count_steps(self, num_batches_per_epoch: int) -> int:
        """Returns the number of training steps for this many batches per epoch.

        Raises:
          OptionsError: the schedules do not fit into it.
        """
        num_steps = self.num_steps if self.num_epochs is None else self.num_epochs * num_batches_per_epoch
        assert num_steps is not None
        self.optimizer.check_duration(num_steps)
        return num_steps

    @property
    def setting(self) -> Setting:
        """The paper's name of what is trained: the image tower is locked, the text tower is as `Setting` says."""
        if isinstance(self.text_tower, StoredTextOptions):
            return "LL"
        if self.text_tower.weights is None:
            return "Lu"
        return "LL" if self.trained.last_layers == 0 else "LU"

    def to_json(self) -> dict[str, Any]:
        """Returns the recipe as JSON values, with every field."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "Recipe":
        """Returns the recipe; missing fields have their defaults.

        Raises:
          OptionsError: an unknown key, a value of the wrong type or one that breaks a rule.
        """
        return read_options(cls, content)


def _check(holds: bool, where: str, rule: str, value: Any) -> None:
    if not holds:
        raise OptionsError(f"{where} must be {rule}, got {value}")
