"""Which special tokens a row has, of those that a tokenizer puts around a text."""

from __future__ import annotations

import tokenizers

from lit_precompute.towers.tokenizers.huggingface.backend import explained
from lit_precompute.towers.tokenizers.huggingface.settings import Settings
from lit_precompute.towers.tokenizers.options import SpecialTokenChoice
from lit_precompute.towers.tokenizers.tokenizer import SpecialTokens

# Texts of which one has a piece in every vocabulary of words.
_PROBES = ("a", "the", "1", "A photo.", "я", "猫")
# Of a tokenizer that ends texts with no token and does not name one.
_ENDS = ("</s>", "[SEP]", "<|endoftext|>", "<eos>")


def choose_tokens(
    backend: tokenizers.Tokenizer, settings: Settings, pad: int | None, choice: SpecialTokenChoice, where: str
) -> tuple[SpecialTokens, int, int | None]:
    """Returns the special tokens, the id that ends a text, and the id that only pads, if there is one.

    Args:
      backend: the tokenizer, with all its tokens.
      settings: what is named beside it.
      pad: the id that it pads with, if it names one.
      choice: "published", or "paper": see `HuggingFaceOptions`.
      where: for messages.

    Raises:
      ValueError: the tokenizer puts tokens elsewhere than around a text, or names no end token.
    """
    first, last = _template(backend, where)
    named = (settings.tokens.get("eos"), settings.tokens.get("sep"), *_ENDS)
    ends = [*last[-1:], *(number for token in named if token and (number := backend.token_to_id(token)) is not None)]
    if not ends:
        raise ValueError(
            f"{where}: it names no end token; put its tokenizer_config.json beside it, with eos_token or sep_token"
        )
    if choice == "paper" and not first:
        return SpecialTokens((), (ends[0],), ends[0]), ends[0], None
    pads = pad is not None and pad not in {*first, *last, ends[0]} and _only_special(backend, pad)
    special = SpecialTokens(first, () if choice == "paper" else last, ends[0] if pad is None else pad)
    return special, ends[0], pad if pads else None


def _only_special(backend: tokenizers.Tokenizer, number: int) -> bool:
    """Returns whether a piece cannot come out of ordinary text; open_clip's tokenizers pad with "!"."""
    token = backend.get_added_tokens_decoder().get(number)
    return token is not None and token.special and len(token.content) > 1


def _template(backend: tokenizers.Tokenizer, where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the tokens that are put before and after a text."""
    with explained(where):
        for probe in _PROBES:
            plain = backend.encode(probe, add_special_tokens=False).ids
            if plain:
                whole = backend.encode(probe)
                first = whole.special_tokens_mask.index(0) if 0 in whole.special_tokens_mask else 0
                stop = first + len(plain)
                break
        else:
            raise ValueError("no ordinary text has a piece")
    if whole.ids[first:stop] != plain:
        raise ValueError(f"{where}: its post-processor changes a text's pieces; only tokens around them are supported")
    return tuple(whole.ids[:first]), tuple(whole.ids[stop:])
