"""Options of image towers; kinds of options; and options from JSON: frozen dataclasses, possibly nested.

Promises: a value of another type, an unknown key and a value that the options refuse is one `OptionsError` that names
the field by its path. Missing fields have their defaults. Reading options imports no JAX.

A part that comes in several kinds (text towers, tokenizers, losses, optimizers) has a `Kinds`: each kind is an options
class, tagged by its field `kind`, and a function that makes the part from such options.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

ComputeType = Literal["float32", "bfloat16"]
ResizeMode = Literal["published", "square"]
Options = TypeVar("Options")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTowerOptions:
    """Which image tower, and how it is used; everything but the location of the weights is part of its fingerprint.

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
    """Options that break a rule; the message gives the field, the rule and the value."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedOptions:
    """Options of a part that comes in several kinds; each kind's subclass narrows `kind` to its name."""

    kinds: ClassVar[Kinds[Any]]
    kind: str

    def __post_init__(self):
        expected = _default_kind(type(self))
        if self.kind != expected:
            raise OptionsError(f"{type(self).kinds.part}.kind must be {expected!r} here, got {self.kind!r}")


Tagged = TypeVar("Tagged", bound=TaggedOptions)


class Kinds(Generic[Tagged]):
    """The kinds of one part, by name."""

    def __init__(self, part: str):
        """Takes the part's name, which is the path of its options in a recipe, such as `text_tower`."""
        self.part = part
        self._options: dict[str, type[Tagged]] = {}
        self._makers: dict[str, str | Callable[..., Any]] = {}

    def register(self, options: type[Tagged], make: str | Callable[..., Any]) -> None:
        """Adds a kind; other packages may call it, too.

        Args:
          options: its options class; the default of the field `kind` is the kind's name.
          make: makes the part from such options; or "module:function", imported at first use (it may need JAX).

        Raises:
          ValueError: the name is taken.
        """
        name = _default_kind(options)
        if name in self._options:
            raise ValueError(f"{self.part}.kind {name!r} is already registered; choose another name")
        self._options[name], self._makers[name] = options, make

    def names(self) -> list[str]:
        """Returns the kinds' names, in the order of registration."""
        return list(self._options)

    def options_class(self, name: str) -> type[Tagged]:
        """Returns the options class of a kind; "module:name" first imports a module, which registers the kind.

        Raises:
          OptionsError: there is no such kind, or no such module.
        """
        module, _, name = name.rpartition(":")
        if module:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise OptionsError(
                    f"{self.part}.kind {module}:{name}: {error}; add its folder to PYTHONPATH"
                ) from error
        if name not in self._options:
            raise OptionsError(
                f"{self.part}.kind must be one of {self.names()}, got {name!r}; give a kind of your own as "
                "module:name, or import its module first"
            )
        return self._options[name]

    def make(self, options: Tagged, *arguments: Any, **named: Any) -> Any:
        """Returns the part that the options describe; other arguments go to the function that makes it."""
        maker = self._makers[options.kind]
        if isinstance(maker, str):
            module, _, name = maker.partition(":")
            maker = getattr(importlib.import_module(module), name)
        return maker(options, *arguments, **named)


def _default_kind(options: type[TaggedOptions]) -> str:
    return str(next(field.default for field in dataclasses.fields(options) if field.name == "kind"))


def common_fields(options: TaggedOptions) -> set[str]:
    """Returns the names of the fields that all kinds of this part share."""
    (base,) = (each for each in type(options).__mro__ if "kinds" in vars(each) and each is not TaggedOptions)
    return {field.name for field in dataclasses.fields(base)}


def of_kind(options: Tagged, kind: str) -> Tagged:
    """Returns options of another kind, with the fields that all kinds share as they are and the others' defaults.

    Raises:
      OptionsError: there is no such kind.
    """
    if kind == options.kind:
        return options
    kept = {name: getattr(options, name) for name in common_fields(options) - {"kind"}}
    return options.kinds.options_class(kind)(**kept)


def read_options(kind: type[Options], value: Any, where: str = "") -> Options:
    """Returns a JSON object as options of this class; tagged options are of the kind that the object names.

    Raises:
      OptionsError: an unknown key, a value of the wrong type or one that breaks a rule of the options.
    """
    if not isinstance(value, dict):
        raise OptionsError(f"{where or 'options'} must be a JSON object, got {value!r}")
    if issubclass(kind, TaggedOptions):
        name = value.get("kind", kind.kinds.names()[0])
        if not isinstance(name, str):
            raise OptionsError(f"{where}.kind must be one of {kind.kinds.names()}, got {name!r}")
        kind = kind.kinds.options_class(name)
        value = {**value, "kind": name.rpartition(":")[2]}
    return _read_fields(kind, value, f"{where}." if where else "")


def _read_fields(kind: type[Options], value: Mapping[str, Any], prefix: str) -> Options:
    types_by_name = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType] -- a dataclass
    for key in value:
        if key not in names:
            raise OptionsError(f"{prefix}{key} is not an option; choose from {', '.join(sorted(names))}")
    fields = {key: _read(types_by_name[key], each, prefix + key) for key, each in value.items()}
    try:
        return kind(**fields)
    except OptionsError:
        raise
    except ValueError as error:  # from the options' own checks; it gives field, rule and value
        raise OptionsError(str(error)) from error


def _read(kind: Any, value: Any, where: str) -> Any:
    """Returns a JSON value as the type that a field declares."""
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
