"""BERT's vocab.txt: one word piece per line, whose number is its id."""

from __future__ import annotations

import logging

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

from lit_precompute.towers.tokenizers.huggingface.settings import Settings

_logger = logging.getLogger(__name__)


def make_backend(content: str, settings: Settings, where: str) -> tokenizers.Tokenizer:
    """Returns the tokenizer of a vocab.txt, with [CLS] before and [SEP] after the pieces.

    Without do_lower_case beside it, the pieces tell: a vocabulary without ASCII's upper-case letters is of an uncased
    model. transformers would lower-case every text, also for a cased model.

    Raises:
      ValueError: one of the special tokens that a row needs is missing.
    """
    # As transformers reads lines: a later one of the same piece counts, and only line feeds separate.
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    vocabulary = {piece: number for number, piece in enumerate(lines[:-1] if not lines[-1] else lines)}
    names = {role: settings.token(role) for role in ("unk", "sep", "pad", "cls", "mask")}
    missing = [names[role] for role in ("unk", "cls", "sep", "pad") if names[role] not in vocabulary]
    if missing:
        raise ValueError(
            f"{where}: not BERT's vocabulary: it has no {' and no '.join(missing)}; give a vocab.txt with one piece "
            "per line, or a tokenizer.json"
        )
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=names["unk"]))
    if "lowercase" not in settings.normaliser:
        _logger.info("%s: %s, by its pieces", where, "cased" if _is_cased(vocabulary) else "uncased")
    backend.normalizer = normalizers.BertNormalizer(lowercase=not _is_cased(vocabulary))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in (names["cls"], names["sep"])]
    template = f"{names['cls']} $A {names['sep']}"
    backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=ends)
    backend.add_special_tokens([name for name in names.values() if name in vocabulary])
    return backend


def _is_cased(vocabulary: dict[str, int]) -> bool:
    pieces = (piece for piece in vocabulary if not (piece.startswith("[") and piece.endswith("]")))
    return any("A" <= letter <= "Z" for piece in pieces for letter in piece)
