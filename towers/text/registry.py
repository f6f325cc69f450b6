"""The kinds of text towers, making a tower from its options, and the names that stand for options and weights.

A kind is an options class and a function with the arguments of `make_text_tower` that returns a `Tower` over int32
token ids [n, max_tokens]. The function is registered by name here and imported at first use. A name is one of
`published`, or a folder or repository whose `config.json` names a family.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.schemas.storage import in_words
from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.text.beside import CONFIG_NAME, find_pooling, find_tokenizer
from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.text.stored.options import StoredTextOptions
from lit_precompute.towers.text.t5.options import T5TextOptions
from lit_precompute.towers.text.tuned import read_tuned
from lit_precompute.towers.text.vit.options import ViTTextOptions
from lit_precompute.towers.tokenizers import TokenizerOptions, Vocabulary
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.finding import find_weights

if TYPE_CHECKING:
    from lit_precompute.towers.contract import Tower


class _Config(NamedTuple):
    read: str
    length: str | None


# Modules with `ENTRIES`: names to `TextEntry`.
_PUBLISHED: list[str] = []
# Names that `register_text_entry` was given.
_REGISTERED: dict[str, TextEntry] = {}
# From `model_type` of a config.json to its reader.
_CONFIGS: dict[str, _Config] = {}
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE = re.compile(r".*\.(npz|safetensors|bin|pt|pth|json)")


def register_text_tower(options: type[TextTowerOptions], make: str | Callable[..., Tower]) -> None:
    """Adds a kind of text tower; other packages may call it, too.

    Args:
      options: its options class; the default of the field `kind` is the kind's name.
      make: see the module; or "module:function", imported at first use.

    Raises:
      ValueError: the name is taken.
    """
    TextTowerOptions.kinds.register(options, make)


def register_config(model_type: str, read: str, *, length: str | None = None) -> None:
    """Says how a `config.json` becomes options.

    Args:
      model_type: its field of this name.
      read: "module:function" of (config, where), which returns the options.
      length: its field that has the length of a row of tokens, where the tower takes no other.

    Raises:
      ValueError: the type is taken.
    """
    if model_type in _CONFIGS:
        raise ValueError(f"model_type {model_type!r} is already registered")
    _CONFIGS[model_type] = _Config(read, length)


def register_text_entry(name: str, entry: TextEntry) -> None:
    """Gives a text tower of one's own a name; other packages may call it, too.

    Raises:
      ValueError: the name is taken.
    """
    if name in text_towers():
        raise ValueError(f"text tower {name!r} is already registered; choose another name")
    _REGISTERED[name] = entry


def make_text_tower(
    options: TextTowerOptions, *, vocabulary: Vocabulary, max_tokens: int, output_width: int, compute_type: ComputeType
) -> Tower:
    """Returns the tower that the options describe.

    Args:
      options: of any registered kind.
      vocabulary: the tokenizer's.
      max_tokens: length of a row of tokens.
      output_width: length of an embedding.
      compute_type: type of the products; parameters and embeddings are float32.
    """
    return TextTowerOptions.kinds.make(
        options,
        vocabulary=vocabulary,
        max_tokens=max_tokens,
        output_width=output_width,
        compute_type=compute_type,
    )


def text_towers() -> dict[str, TextEntry]:
    """Returns all text towers that have a name, by name."""
    modules = [importlib.import_module(module) for module in _PUBLISHED]
    published = {name: entry for module in modules for name, entry in module.ENTRIES.items()}
    return published | _REGISTERED


def resolve_text_tower(name: str) -> tuple[str, TextEntry | None]:
    """Returns the name of a text tower and its entry; None for a file of weights, which does not tell its options.

    Args:
      name: a name of `text_towers`; or a folder with a `config.json`: on disk, in a store, or OWNER/NAME of Hugging
        Face's hub; or a folder on disk that `lit-tune` wrote.

    Raises:
      ValueError: no such tower, or a `config.json` of no known family.
      WeightsError: the folder's `config.json` cannot be had.
    """
    named = text_towers()
    if name in named:
        return name, named[name]
    if _FILE.fullmatch(name) or pathlib.Path(name).is_file():
        return name, None
    if (tuned := read_tuned(name)) is not None:
        return name, tuned
    place = _place(name)
    if place is None:
        near = _near(name, named)
        hint = f"did you mean one of {', '.join(near)}?" if near else "`lit-tune towers` lists them"
        raise ValueError(f"unknown text tower {name!r}, and no such folder or file; {hint}")
    if "://" not in place and not (pathlib.Path(place) / CONFIG_NAME).is_file():
        raise ValueError(
            f"text tower {name!r}: the folder has neither {CONFIG_NAME}, which says what a model is, nor a finished "
            "run of lit-tune; give a folder with one of them, or the file of weights and the flags that say what it is"
        )
    try:
        pooling, tokenizer = find_pooling(place), find_tokenizer(place)
        path = pathlib.Path(find_weights(f"{place}/{CONFIG_NAME}"))
    except WeightsError as error:
        why = str(error) if error.__cause__ is None else in_words(error.__cause__)
        raise WeightsError(
            f"text tower {name!r}: its {CONFIG_NAME} says what it is, and cannot be had from {place} ({why}). Get the "
            "folder with its weights and tokenizer, and give it as text_tower.weights"
        ) from error
    entry = _described(read_json_object(path, "copy it again from where it came from"), str(path), place, tokenizer)
    if pooling is None:
        return name, entry
    return name, dataclasses.replace(entry, options=dataclasses.replace(entry.options, pooling=pooling))


def _near(name: str, named: Iterable[str]) -> list[str]:
    """Returns names that hold this one or are like it, in any case, as a whole or without their owner."""
    holding = [one for one in named if name.lower() in one.lower()]
    spelt = {spelling: one for one in named for spelling in (one.lower(), one.lower().rpartition("/")[2])}
    near = difflib.get_close_matches(name.lower(), spelt, n=5, cutoff=0.5)
    return list(dict.fromkeys([*holding, *(spelt[spelling] for spelling in near)]))[:5]


def _place(name: str) -> str | None:
    """Returns where a folder of this name is; None for what can be no folder."""
    if "://" in name or pathlib.Path(name).is_dir():
        return name.rstrip("/")
    return f"hf://{name}" if _REPOSITORY.fullmatch(name) else None


def _described(config: Mapping[str, Any], where: str, place: str, tokenizer: TokenizerOptions) -> TextEntry:
    """Returns the tower that a `config.json` describes, with the weights and the tokenizer beside it."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _CONFIGS:
        raise ValueError(f"{where}: model_type must be one of {', '.join(sorted(_CONFIGS))}, got {model_type!r}")
    read, length = _CONFIGS[model_type]
    module, _, function = read.partition(":")
    options: TextTowerOptions = getattr(importlib.import_module(module), function)(config, where)
    return TextEntry(
        options=options,
        weights=place,
        tokenizer=tokenizer,
        max_tokens=None if length is None else int(config[length]),
    )


_FAMILIES = (
    (ViTTextOptions, "vit", ("siglip", "siglip_text_model", "siglip2", "siglip2_text_model")),
    (BertTextOptions, "bert", ("bert", "roberta", "xlm-roberta", "distilbert")),
    (T5TextOptions, "t5", ("t5", "mt5", "umt5")),
)
for _options, _family, _model_types in _FAMILIES:
    _folder = f"lit_precompute.towers.text.{_family}"
    register_text_tower(_options, f"{_folder}.network:make_tower")
    _PUBLISHED.append(f"{_folder}.published")
    for _model_type in _model_types:
        register_config(_model_type, f"{_folder}.config:options_of_config")
register_text_tower(StoredTextOptions, "lit_precompute.towers.text.stored.network:make_tower")
