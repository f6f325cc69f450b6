"""The kinds of tokenizers: making one from its options, and loading a saved one.

A kind is an options class, a function `make(options, texts, *, lower_case)`, and a function `load(fields, path)` that
reads what the tokenizer's `save` wrote into the description at `path`.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.towers.tokenizers import sentencepiece, words
from lit_precompute.towers.tokenizers.huggingface import tokenizer as huggingface
from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions
from lit_precompute.towers.tokenizers.options import TokenizerOptions
from lit_precompute.towers.tokenizers.saving import DESCRIPTION_NAME, FORMAT_VERSION
from lit_precompute.towers.tokenizers.tokenizer import Tokenizer

_Load = Callable[[Mapping[str, Any], pathlib.Path], Tokenizer]
_LOADERS: dict[str, _Load] = {}
_logger = logging.getLogger(__name__)


def register_tokenizer(options: type[TokenizerOptions], make: Callable[..., Tokenizer], load: _Load) -> None:
    """Adds a kind of tokenizer; other packages may call it, too.

    Args:
      options: its options; the default of the field `kind` is the kind's name.
      make: see the module; its `texts` are already lower-cased if `lower_case` is true.
      load: see the module.

    Raises:
      ValueError: the name is taken.
    """
    TokenizerOptions.kinds.register(options, make)
    _LOADERS[TokenizerOptions.kinds.names()[-1]] = load


def train_tokenizer(options: TokenizerOptions, texts: Iterable[str], *, lower_case: bool = True) -> Tokenizer:
    """Returns the tokenizer that the options describe: read from `options.path`, or trained in one pass over `texts`.

    A tokenizer that was saved at `options.path` is as it was saved: case and special tokens are not the options'.

    Raises:
      ValueError: the file is missing or not a vocabulary of that kind; no text contains a word; the vocabulary is too
        small for the texts' characters.
    """
    if options.path is not None and (saved := find_saved(options.path)) is not None:
        return _load_as(saved, options)
    cased = (text.lower() for text in texts) if lower_case else iter(texts)
    tokenizer: Tokenizer = TokenizerOptions.kinds.make(options, cased, lower_case=lower_case)
    if options.path is None and tokenizer.vocabulary_size < options.vocabulary_size:
        _logger.warning(
            "tokenizer: the texts contain only %s different %s, so the vocabulary has that size, not %s",
            f"{tokenizer.vocabulary_size:,}",
            tokenizer.unit,
            f"{options.vocabulary_size:,}",
        )
    return tokenizer


def find_saved(place: str) -> pathlib.Path | None:
    """Returns the folder with the tokenizer that `save` wrote: at `place`, or in its folder `tokenizer`."""
    path = pathlib.Path(place).expanduser()
    for folder in (path, path / "tokenizer"):
        description = folder / DESCRIPTION_NAME
        if description.is_file() and "format_version" in read_json_object(description, "copy the tokenizer again"):
            return folder
    return None


def _load_as(folder: pathlib.Path, options: TokenizerOptions) -> Tokenizer:
    """Returns the tokenizer saved in a folder, which must be of the options' kind."""
    if (kind := read_json_object(folder / DESCRIPTION_NAME, "copy the tokenizer again").get("kind")) != options.kind:
        raise ValueError(
            f"tokenizer.kind must be {kind!r}, which the tokenizer saved in {folder} is, got {options.kind!r}; give "
            "that kind, or another tokenizer.path"
        )
    return load_tokenizer(str(folder))


def load_tokenizer(directory: str) -> Tokenizer:
    """Returns the tokenizer that `save` wrote to a directory.

    Raises:
      ValueError: no tokenizer there, a newer format, or a model that has changed since it was saved.
    """
    path = pathlib.Path(directory) / DESCRIPTION_NAME
    if not path.is_file():
        raise ValueError(f"{directory}: no {DESCRIPTION_NAME}; this is not a saved tokenizer")
    fields = read_json_object(path, "copy the tokenizer again from where it came from")
    version = fields.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format_version must be {FORMAT_VERSION}, got {version!r}; update lit-precompute")
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in _LOADERS:
        raise ValueError(f"{path}: kind must be one of {sorted(_LOADERS)}, got {kind!r}")
    return _LOADERS[kind](fields, path)


register_tokenizer(sentencepiece.SentencePieceOptions, sentencepiece.make_tokenizer, sentencepiece.load_tokenizer)
register_tokenizer(words.WordOptions, words.make_tokenizer, words.load_tokenizer)
register_tokenizer(HuggingFaceOptions, huggingface.make_tokenizer, huggingface.load_tokenizer)
