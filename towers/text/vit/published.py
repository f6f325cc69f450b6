"""The text ViTs that have names: the paper's sizes, the public LiT models' and SigLIP's text sides.

The paper calls its sizes as these architectures are called here (table 10); they have no published weights. SigLIP's
authors lower-case texts, drop punctuation and pad to the full length.

Source: arXiv:2111.07991; vision_transformer, vit_jax/configs/models.py and models_lit.py; the repositories' config.json
(2026-11).
"""

from __future__ import annotations

from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.vit.options import ViTTextOptions
from lit_precompute.towers.tokenizers import HuggingFaceOptions, SentencePieceOptions, TokenizerOptions
from lit_precompute.towers.vit_sizes import SIZES

_LIT = "https://storage.googleapis.com/vit_models/lit"
_ARCHITECTURES = {"tiny": "ti", "small": "s", "base": "b", "large": "l", "huge": "h", "giant": "g"}
_ENGLISH, _MULTILINGUAL, _GEMMA = 32_000, 250_000, 256_000
# The text side of each SigLIP model: (names after google/siglip, size, positions, ids of the tokenizer)
_SIGLIP = (
    ("-base-patch16-224 -base-patch16-256 -base-patch16-384 -base-patch16-512", "b", 64, _ENGLISH),
    ("-base-patch16-256-multilingual", "b", 64, _MULTILINGUAL),
    ("-large-patch16-256 -large-patch16-384", "l", 64, _ENGLISH),
    ("-so400m-patch14-224", "so400m", 16, _ENGLISH),
    ("-so400m-patch14-384", "so400m", 64, _ENGLISH),
    ("-so400m-patch16-256-i18n", "so400m", 64, _MULTILINGUAL),
    ("2-base-patch32-256 2-base-patch16-224 2-base-patch16-256 2-base-patch16-384 2-base-patch16-512", "b", 64, _GEMMA),
    ("2-large-patch16-256 2-large-patch16-384 2-large-patch16-512", "l", 64, _GEMMA),
    ("2-so400m-patch14-224 2-so400m-patch14-384", "so400m", 64, _GEMMA),
    ("2-so400m-patch16-256 2-so400m-patch16-384 2-so400m-patch16-512", "so400m", 64, _GEMMA),
    ("2-giant-opt-patch16-256 2-giant-opt-patch16-384", "so400m", 64, _GEMMA),
)
_NOTES = {
    _ENGLISH: "SigLIP: English web texts",
    _MULTILINGUAL: "SigLIP: web texts in over 100 languages",
    _GEMMA: "SigLIP 2: web texts in 109 languages",
}


def options_of_size(size: str, *, max_positions: int | None = None, vocabulary_rows: int = 0) -> ViTTextOptions:
    """Returns the options of a size of `SIZES`."""
    width, depth, mlp_width, num_heads = SIZES[size]
    return ViTTextOptions(
        width=width,
        depth=depth,
        mlp_width=mlp_width,
        num_heads=num_heads,
        max_positions=max_positions,
        vocabulary_rows=vocabulary_rows,
    )


def _architectures() -> dict[str, TextEntry]:
    note = "the LiT paper's, trained from a random start"
    return {
        f"vit-{words}": TextEntry(
            options=options_of_size(size), weights="", tokenizer=SentencePieceOptions(), max_tokens=None, note=note
        )
        for words, size in _ARCHITECTURES.items()
    }


def _lit() -> dict[str, TextEntry]:
    return {
        f"lit-l16{size}": TextEntry(
            options=options_of_size(size, max_positions=16, vocabulary_rows=16_000),
            weights=f"{_LIT}/LiT-L16{size.title()}.npz",
            tokenizer=SentencePieceOptions(path=f"{_LIT}/LiT-L16{size.title()}.model"),
            max_tokens=16,
            note=f"the public LiT-L16{size.title()}; its image side is a ViT-L/16",
        )
        for size in ("s", "ti")
    }


def _siglip() -> dict[str, TextEntry]:
    entries: dict[str, TextEntry] = {}
    for endings, size, positions, rows in _SIGLIP:
        for name in (f"google/siglip{ending}" for ending in endings.split()):
            entries[name] = TextEntry(
                options=options_of_size(size, max_positions=positions, vocabulary_rows=rows),
                weights=f"hf://{name}/model.safetensors",
                tokenizer=_siglip_tokenizer(name, rows),
                max_tokens=positions,
                note=_NOTES[rows],
            )
    return entries


def _siglip_tokenizer(name: str, rows: int) -> TokenizerOptions:
    if rows == _GEMMA:
        return HuggingFaceOptions(path=f"hf://{name}")
    return SentencePieceOptions(path=f"hf://{name}/spiece.model")


ENTRIES = {**_architectures(), **_lit(), **_siglip()}
