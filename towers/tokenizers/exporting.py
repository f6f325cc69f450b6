"""A tokenizer as a `tokenizer.json`, which transformers and Hugging Face's `tokenizers` read.

Promises: with `padding="max_length", truncation=True` transformers gives the same rows as ours. Word pieces, byte pairs
and SentencePiece's unigram models can be written; whole words, and SentencePiece's other models, cannot. Lower-casing
is the library's there, which knows no final sigma.

Source: sentencepiece, src/sentencepiece_model.proto; transformers, convert_slow_tokenizer.py (`SpmConverter`).
"""

from __future__ import annotations

import json
import pathlib
import tempfile
from typing import Any

import sentencepiece
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

from lit_precompute.towers.tokenizers.saving import DESCRIPTION_NAME
from lit_precompute.towers.tokenizers.tokenizer import Tokenizer

_UNIGRAM = 1  # of ModelProto's model types
_SPACE = "\u2581"


def write_tokenizer_json(tokenizer: Tokenizer, folder: pathlib.Path, length: int, *, masks_padding: bool) -> bool:
    """Writes `tokenizer.json` and `tokenizer_config.json`.

    Args:
      tokenizer: of any kind.
      folder: where to write.
      length: of a row.
      masks_padding: whether the tower wants an attention mask.

    Returns:
      Whether this tokenizer can be written so; if not, nothing was.
    """
    backend = _backend(tokenizer)
    if backend is None:
        return False
    special = tokenizer.special_tokens
    around = dict.fromkeys((*special.first, *special.last))
    names = {number: str(backend.id_to_token(number)) for number in (*around, special.padding, tokenizer.end_id)}
    backend.post_processor = processors.TemplateProcessing(
        single=[*(names[number] for number in special.first), "$A", *(names[number] for number in special.last)],
        special_tokens=[(names[number], number) for number in around],
    )
    backend.enable_truncation(length)
    backend.enable_padding(length=length, pad_id=special.padding, pad_token=names[special.padding])
    backend.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "pad_token": names[special.padding],
        "eos_token": names[tokenizer.end_id],
        "padding_side": "right",
        "truncation_side": "right",
        "model_input_names": ["input_ids", "attention_mask"] if masks_padding else ["input_ids"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return True


def _backend(tokenizer: Tokenizer) -> tokenizers.Tokenizer | None:
    """Returns the library's tokenizer of the same pieces, made of the saved files."""
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save(name)
        folder = pathlib.Path(name)
        description = json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        if description["kind"] == "huggingface":
            return tokenizers.Tokenizer.from_str((folder / description["model"]).read_text(encoding="utf-8"))
        if description["kind"] == "sentencepiece":
            return _unigram((folder / description["model"]).read_bytes(), lower_case=bool(tokenizer.lower_case))
    return None


def _unigram(model: bytes, *, lower_case: bool) -> tokenizers.Tokenizer | None:
    """Returns a SentencePiece unigram model; None for one of another type, or with bytes for unknown characters."""
    proto = _fields(model)
    trainer, normalizer = (_fields(proto[number][0]) for number in (2, 3))
    if trainer.get(3, [_UNIGRAM]) != [_UNIGRAM] or trainer.get(35, [0]) != [0] or trainer.get(24, [0]) != [0]:
        return None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [(processor.id_to_piece(number), processor.get_score(number)) for number in range(len(processor))]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=processor.unk_id(), byte_fallback=False))
    steps: list[Any] = [normalizers.Lowercase()] if lower_case else []
    if charsmap := normalizer.get(2, [b""])[0]:
        steps.append(normalizers.Precompiled(charsmap))
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always"),
        ]
    )
    return backend


def _fields(message: bytes) -> dict[int, list[Any]]:
    """Returns the fields of a protocol buffer by number: integers, and the bytes of what has a length."""
    found: dict[int, list[Any]] = {}
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        match key & 7:
            case 0:
                value, position = _varint(message, position)
                found.setdefault(key >> 3, []).append(value)
            case 2:
                size, position = _varint(message, position)
                found.setdefault(key >> 3, []).append(message[position : position + size])
                position += size
            case 1:
                position += 8
            case _:
                position += 4
    return found


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
