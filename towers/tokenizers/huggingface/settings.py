"""What tokenizer_config.json and special_tokens_map.json say beside a vocabulary, and what follows for it.

Promises: of what they say only this counts: the names of the special tokens, tokens that were added to the vocabulary,
and how BERT's normaliser is set, which transformers too takes from there. Rows are always padded on the right and cut
on the right, whatever sides they name.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import tokenizers
from tokenizers import normalizers

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.towers.tokenizers.finding import CONFIG_NAME, TOKENS_NAME

_ADVICE = "get the tokenizer's files again"
_MAX_BYTES = 1 << 24
_ROLES = ("unk", "pad", "cls", "sep", "bos", "eos", "mask")
# Of a tokenizer.json alone, which does not say what its tokens are for.
_PADDING = ("[PAD]", "<pad>", "<|pad|>")
# transformers does not set the normaliser for these.
_GENERIC_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")
_NORMALISER_FIELDS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings beside a vocabulary.

    Attributes:
      where: the file that they come from, for messages.
      tokens: the special tokens, by role ("pad", "eos" ...).
      added: tokens that were added to the vocabulary, by id.
      normaliser: what is said of BERT's normaliser, by the names of its attributes.
    """

    where: str = ""
    tokens: Mapping[str, str] = dataclasses.field(default_factory=dict)
    added: Mapping[int, tokenizers.AddedToken] = dataclasses.field(default_factory=dict)
    normaliser: Mapping[str, bool | None] = dataclasses.field(default_factory=dict)

    def token(self, role: str) -> str:
        """Returns the special token of a role, or the name that BERT has for it."""
        return self.tokens.get(role, f"[{role.upper()}]")


def read_settings(beside: Mapping[str, pathlib.Path]) -> Settings:
    """Returns the settings in the files beside a vocabulary, by name.

    Raises:
      ValueError: one of them is damaged, or a value has another type.
    """
    tokens: dict[str, str] = {}
    for name in (TOKENS_NAME, CONFIG_NAME):
        if name in beside:
            tokens |= _special_tokens(_read(beside[name]), beside[name])
    if CONFIG_NAME not in beside:
        return Settings(where=str(beside.get(TOKENS_NAME, "")), tokens=tokens)
    path = beside[CONFIG_NAME]
    config = _read(path)
    normaliser = {} if config.get("tokenizer_class") in _GENERIC_CLASSES else _normaliser(config, path)
    return Settings(where=str(path), tokens=tokens, added=_added_tokens(config, path), normaliser=normaliser)


def apply_settings(backend: tokenizers.Tokenizer, settings: Settings, lower_case: bool | None, where: str) -> None:
    """Changes a tokenizer as the settings say; `lower_case`, unless it is None, replaces what they say of that.

    Raises:
      ValueError: an added token gets another id than it is said to have, or the tokenizer has not BERT's normaliser.
    """
    _add_tokens(backend, settings)
    asked: dict[str, Any] = {**settings.normaliser, **({} if lower_case is None else {"lowercase": lower_case})}
    normaliser = backend.normalizer
    if isinstance(normaliser, normalizers.BertNormalizer):
        names = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
        backend.normalizer = normalizers.BertNormalizer(**{name: getattr(normaliser, name) for name in names} | asked)
    elif lower_case is not None:
        raise ValueError(
            f"tokenizer.lower_case is for BERT's normaliser, which {where} does not have: its own normaliser decides; "
            "leave tokenizer.lower_case out"
        )


def padding_token(settings: Settings, baked: Mapping[str, Any] | None, backend: tokenizers.Tokenizer) -> int | None:
    """Returns the id that rows are padded with, if any is named: beside the vocabulary, or in it (`baked`)."""
    named = (settings.tokens.get("pad"), (baked or {}).get("pad_token"), *_PADDING)
    found = (backend.token_to_id(token) for token in named if token)
    return next((number for number in found if number is not None), None)


def _add_tokens(backend: tokenizers.Tokenizer, settings: Settings) -> None:
    for number, token in sorted(settings.added.items()):
        if number in backend.get_added_tokens_decoder():
            continue
        (backend.add_special_tokens if token.special else backend.add_tokens)([token])
        if (found := backend.token_to_id(token.content)) != number:
            raise ValueError(
                f"{settings.where}: the added token {token.content!r} must have the id {number}, but gets {found}; the "
                "files beside it are of another tokenizer"
            )
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    for content in settings.tokens.values():
        if content not in known and backend.token_to_id(content) is not None:
            backend.add_special_tokens([content])


def _read(path: pathlib.Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path}: must have at most {_MAX_BYTES} bytes, got {path.stat().st_size}; {_ADVICE}")
    return read_json_object(path, _ADVICE)


def _special_tokens(content: Mapping[str, Any], path: pathlib.Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for role in _ROLES:
        value = content.get(f"{role}_token")
        if isinstance(value, dict):
            value = value.get("content")
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise ValueError(f"{path}: {role}_token must be a token, got {value!r:.80}; {_ADVICE}")
        found[role] = value
    return found


def _added_tokens(config: Mapping[str, Any], path: pathlib.Path) -> dict[int, tokenizers.AddedToken]:
    found: dict[int, tokenizers.AddedToken] = {}
    added = config.get("added_tokens_decoder") or {}
    for number, value in added.items() if isinstance(added, dict) else [("", added)]:
        if not (number.isdecimal() and isinstance(value, dict) and isinstance(value.get("content"), str)):
            raise ValueError(f"{path}: added_tokens_decoder must give tokens by id, got {value!r:.80}; {_ADVICE}")
        flags = {name: value[name] for name in ("lstrip", "rstrip", "single_word", "normalized") if name in value}
        if any(not isinstance(flag, bool) for flag in flags.values()):
            raise ValueError(f"{path}: {', '.join(flags)} must be true or false, got {value!r:.80}; {_ADVICE}")
        found[int(number)] = tokenizers.AddedToken(value["content"], special=value.get("special") is True, **flags)
    return found


def _normaliser(config: Mapping[str, Any], path: pathlib.Path) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    for name, attribute in _NORMALISER_FIELDS.items():
        if name not in config:
            continue
        value = config[name]
        may_be_none = name == "strip_accents"
        if not isinstance(value, bool) and not (value is None and may_be_none):
            raise ValueError(f"{path}: {name} must be true or false, got {value!r:.80}; {_ADVICE}")
        found[attribute] = value
    return found
