"""Which texts of an image a recipe uses, and how they become tokens.

Source: arXiv:2111.07991, appendix C (fields, tags and titles) and appendix H (back-translations).
"""

import dataclasses
import math
from typing import Literal

from lit_precompute.towers.options import OptionsError

_MAX_TOKENS = 1_000_000  # far above any text tower
_MAX_TEXTS_PER_IMAGE = 100  # a batch has so many columns for each image, absent or not
_CHOICES = ("sample", "join")
_COMBINATIONS = ("joint", "per-image", "per-batch")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Which of an image's texts are used, and how they become rows of tokens.

    Attributes:
      choice: "sample" draws one of a field's texts in each epoch; "join" joins all of them in order.
      separator: what joined texts are separated by.
      lower_case: whether the tokenizer lower-cases texts.
      max_tokens: length of a row of tokens, including the end token.
      fields: columns of the captions that texts are from, comma-separated: `texts`, or named texts (`title,tags`).
      combine: "per-image" draws one of the fields for each image and epoch, "per-batch" one for each batch; "joint"
        takes a text of each field and sums the fields' losses.
      field_weights: how often each of the fields is drawn, comma-separated; by default equally often.
      text_weights: how often an image's first, second ... text is drawn, comma-separated; by default equally often.
      shuffled: fields, such as tags, whose texts are shuffled and joined by a random space, newline or punctuation.
      filtered: fields, such as title, of which names that cameras give (IMG_0123) are left out.
      texts_per_image: texts of a field that an image has in a batch, drawn without repetition; one with fewer has all.
    """

    choice: Literal["sample", "join"] = "sample"
    separator: str = " "
    lower_case: bool = True
    max_tokens: int = 16
    fields: str = "texts"
    combine: Literal["joint", "per-image", "per-batch"] = "per-image"
    field_weights: str = ""
    text_weights: str = ""
    shuffled: str = ""
    filtered: str = ""
    texts_per_image: int = 1

    def __post_init__(self):
        _check(self.choice in _CHOICES, "choice", "'sample' or 'join'", self.choice)
        _check(self.max_tokens >= 2, "max_tokens", ">= 2 (one piece and the end token)", self.max_tokens)
        _check(self.max_tokens <= _MAX_TOKENS, "max_tokens", f"<= {_MAX_TOKENS}", self.max_tokens)
        _check(self.combine in _COMBINATIONS, "combine", "'joint', 'per-image' or 'per-batch'", self.combine)
        most = f"in [1, {_MAX_TEXTS_PER_IMAGE}]"
        _check(1 <= self.texts_per_image <= _MAX_TEXTS_PER_IMAGE, "texts_per_image", most, self.texts_per_image)
        self._check_fields()
        self._check_weights()
        if self.choice == "join":
            _check(self.texts_per_image == 1, "texts_per_image", "1 where texts are joined", self.texts_per_image)
            _check(not self.text_weights, "text_weights", "empty where texts are joined", self.text_weights)

    def _check_fields(self) -> None:
        names = self.field_names
        is_list = bool(names) and all(names) and len({*names}) == len(names)
        _check(is_list, "fields", "names of columns, each once, such as title,tags", self.fields)
        for option in ("shuffled", "filtered"):
            given = _names(getattr(self, option))
            _check({*given} <= {*names}, option, f"among text.fields ({self.fields})", getattr(self, option))

    def _check_weights(self) -> None:
        if self.field_weights:
            where, weights = "field_weights", _numbers("field_weights", self.field_weights)
            rule = f"{self.num_fields} numbers, one for each of text.fields ({self.fields})"
            _check(len(weights) == self.num_fields, where, rule, self.field_weights)
            _check(min(weights) > 0, where, "> 0 (a field that is never drawn is not one of text.fields)", min(weights))
            rule = "empty where text.combine is joint, which draws no field"
            _check(self.combine != "joint", where, rule, self.field_weights)
        if self.text_weights:
            weights = _numbers("text_weights", self.text_weights)
            rule = ">= 0, and > 0 for the first text, which may be an image's only one"
            _check(min(weights) >= 0 and weights[0] > 0, "text_weights", rule, self.text_weights)
            rule = f"> 0 for at least {self.texts_per_image} texts, which text.texts_per_image asks for"
            _check(sum(each > 0 for each in weights) >= self.texts_per_image, "text_weights", rule, self.text_weights)

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields."""
        return _names(self.fields)

    @property
    def shuffled_fields(self) -> tuple[str, ...]:
        """The fields whose texts are shuffled."""
        return _names(self.shuffled)

    @property
    def filtered_fields(self) -> tuple[str, ...]:
        """The fields that are filtered."""
        return _names(self.filtered)

    @property
    def field_shares(self) -> tuple[float, ...]:
        """How often each field is drawn, to be divided by the sum over those that there are."""
        return _numbers("field_weights", self.field_weights) if self.field_weights else (1.0,) * self.num_fields

    @property
    def text_shares(self) -> tuple[float, ...] | None:
        """How often an image's first, second ... text is drawn, not divided by a sum; None: equally often."""
        return _numbers("text_weights", self.text_weights) if self.text_weights else None

    @property
    def num_fields(self) -> int:
        """How many fields there are."""
        return len(self.field_names)

    @property
    def num_columns(self) -> int:
        """How many texts, present or absent, a batch has for each image."""
        return self.texts_per_image * self.num_joint_fields

    @property
    def num_joint_fields(self) -> int:
        """Fields of which each image contributes texts to a batch, and over which the loss is summed."""
        return self.num_fields if self.combine == "joint" else 1

    @property
    def may_be_absent(self) -> bool:
        """Whether an image of a batch may lack one of its texts."""
        return self.num_columns > 1 or (self.combine == "per-batch" and self.num_fields > 1)


def _names(given: str) -> tuple[str, ...]:
    """Returns comma-separated names."""
    return tuple(name.strip() for name in given.split(",")) if given.strip() else ()


def _numbers(where: str, given: str) -> tuple[float, ...]:
    """Returns comma-separated numbers.

    Raises:
      OptionsError: something is not a finite number.
    """
    try:
        numbers = tuple(float(number) for number in given.split(","))
    except ValueError:
        numbers = ()
    is_finite = bool(numbers) and all(math.isfinite(number) for number in numbers)
    _check(is_finite, where, "numbers separated by commas, such as 0.5,0.5", given)
    return numbers


def _check(holds: bool, where: str, rule: str, value: object) -> None:
    if not holds:
        raise OptionsError(f"text.{where} must be {rule}, got {value!r}")
