"""Options of towers; and options as JSON and back: frozen dataclasses of numbers, strings, choices and further options.

Promises: a value of another type, an unknown key and whatever the options' own checks refuse is one `OptionsError` that
names the field by its path. Left out fields have their defaults.
"""

import dataclasses
import types
import typing
from typing import Any, Literal, TypeVar

ComputeType = Literal["float32", "bfloat16"]
ResizeMode = Literal["published", "square"]
Options = TypeVar("Options")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTowerOptions:
    """Which image tower, and how it is used; all choices but the place of the weights are part of its fingerprint.

    Attributes:
      name: Image tower: a name of `lit-embed towers`, timm, open_clip or Hugging Face; or `module:name` of your own.
      weights: Weights, by default as published: a file, a folder of save_pretrained, or hf://, https://, gs://, s3://.
      resolution: Side of the images in pixels; by default as the tower was published. A crop keeps its share.
      resize: `square` squeezes the whole image; `published` resizes and crops as the tower's authors did.
      pooling: Which of the tower's values are the embedding; by default as published.
      compute_type: Type of the tower's activations.
    """

    name: str
    weights: str | None = None
    resolution: int | None = None
    resize: ResizeMode = "published"
    pooling: str | None = None
    compute_type: ComputeType = "float32"


class OptionsError(ValueError):
    """Options that break a rule; says which field, the rule and the value."""


def read_options(kind: type[Options], value: Any, where: str = "") -> Options:
    """Returns a JSON object as options of this kind.

    Raises:
      OptionsError: an unknown key, a value of the wrong type or one that breaks a rule of the options.
    """
    if not isinstance(value, dict):
        raise OptionsError(f"{where or 'options'} must be a JSON object, got {value!r}")
    kinds = typing.get_type_hints(kind)
    prefix = f"{where}." if where else ""
    for key in value:
        if key not in kinds:
            raise OptionsError(f"{prefix}{key} is no option; there are {', '.join(sorted(kinds))}")
    fields = {key: _read(kinds[key], each, prefix + key) for key, each in value.items()}
    try:
        return kind(**fields)
    except OptionsError:
        raise
    except ValueError as error:  # of the options' own checks: it names field, rule and value
        raise OptionsError(str(error)) from error


def _read(kind: Any, value: Any, where: str) -> Any:
    """Returns a JSON value as what a field is declared to be."""
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return read_options(kind, value, where)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise OptionsError(f"{where} must be one of {list(choices)}, got {value!r}")
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise OptionsError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value
