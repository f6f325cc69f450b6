"""The published towers of BERT's family that have names, with the places of their weights.

Source: the repositories' `config.json` files and model cards (2026-11), the public LiT models' README, and the papers:
arXiv:1810.04805 (BERT), 1907.11692 (RoBERTa), 1911.02116 (XLM-R), 1910.01108 (DistilBERT), 2002.10957 (MiniLM).
"""

from __future__ import annotations

import dataclasses

from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions

_BASE = BertTextOptions(vocabulary_rows=30_522)
_LARGE = dataclasses.replace(_BASE, width=1024, depth=24, num_heads=16, mlp_width=4096)
_ROBERTA = {"norm_epsilon": 1e-5, "num_segments": 1, "max_positions": 514, "padding_position": 1}
_MINILM = dataclasses.replace(_BASE, width=384, mlp_width=1536)
_SENTENCES = dataclasses.replace(_MINILM, pooling="average")
_ENGLISH, _MULTILINGUAL = "google-bert/bert-base-uncased", "FacebookAI/xlm-roberta-base"
_LIT = "https://storage.googleapis.com/vit_models/lit"


def _repository(name: str, options: BertTextOptions, *, file: str = "model.safetensors", note: str = "") -> TextEntry:
    return TextEntry(
        options=options,
        weights=f"hf://{name}/{file}",
        tokenizer=HuggingFaceOptions(path=_TOKENIZERS.get(name, f"hf://{name}")),
        note=note,
    )


def _lit(name: str, options: BertTextOptions, note: str) -> TextEntry:
    """Returns the text side of a public LiT model: flaxformer's BERT, whose GELU is the tanh form."""
    return TextEntry(
        options=dataclasses.replace(options, activation="gelu_tanh"),
        weights=f"{_LIT}/{name}.npz",
        tokenizer=HuggingFaceOptions(path=f"hf://{_ENGLISH}", special_tokens="paper"),
        max_tokens=16,
        note=note,
    )


# Repositories without a tokenizer of their own that can be read.
_TOKENIZERS = {
    "microsoft/MiniLM-L12-H384-uncased": f"hf://{_ENGLISH}",
    "microsoft/Multilingual-MiniLM-L12-H384": f"hf://{_MULTILINGUAL}",
}
_REPOSITORIES = {
    "google-bert/bert-base-uncased": (_BASE, "BERT"),
    "google-bert/bert-base-cased": (dataclasses.replace(_BASE, vocabulary_rows=28_996), "BERT, case kept"),
    "google-bert/bert-large-uncased": (_LARGE, "BERT"),
    "google-bert/bert-base-multilingual-cased": (
        dataclasses.replace(_BASE, vocabulary_rows=119_547),
        "BERT of 104 languages, case kept",
    ),
    "FacebookAI/roberta-base": (dataclasses.replace(_BASE, vocabulary_rows=50_265, **_ROBERTA), "RoBERTa"),
    "FacebookAI/roberta-large": (dataclasses.replace(_LARGE, vocabulary_rows=50_265, **_ROBERTA), "RoBERTa"),
    "FacebookAI/xlm-roberta-base": (
        dataclasses.replace(_BASE, vocabulary_rows=250_002, **_ROBERTA),
        "XLM-R of 100 languages",
    ),
    "FacebookAI/xlm-roberta-large": (
        dataclasses.replace(_LARGE, vocabulary_rows=250_002, **_ROBERTA),
        "XLM-R of 100 languages",
    ),
    "distilbert/distilbert-base-uncased": (
        dataclasses.replace(_BASE, depth=6, num_segments=0),
        "half of BERT's blocks",
    ),
    "sentence-transformers/all-MiniLM-L6-v2": (
        dataclasses.replace(_SENTENCES, depth=6),
        "MiniLM trained on a billion pairs of sentences",
    ),
    "sentence-transformers/all-MiniLM-L12-v2": (_SENTENCES, "MiniLM trained on a billion pairs of sentences"),
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": (
        dataclasses.replace(_SENTENCES, vocabulary_rows=250_037),
        "MiniLM of 50 languages, trained on paraphrases",
    ),
}
_BIN_FILES = {
    "microsoft/MiniLM-L12-H384-uncased": (_MINILM, "distilled from BERT"),
    "microsoft/Multilingual-MiniLM-L12-H384": (
        dataclasses.replace(_MINILM, vocabulary_rows=250_037),
        "distilled from XLM-R, in a BERT",
    ),
}

ENTRIES: dict[str, TextEntry] = {
    **{name: _repository(name, options, note=note) for name, (options, note) in _REPOSITORIES.items()},
    **{
        name: _repository(name, options, file="pytorch_model.bin", note=note)
        for name, (options, note) in _BIN_FILES.items()
    },
    "lit-b16b": _lit("LiT-B16B", _BASE, "the text side of LiT-B16B: 72.1 % ImageNet, zero-shot"),
    "lit-b16b_2": _lit("LiT-B16B_2", _BASE, "the text side of LiT-B16B_2: 73.9 % ImageNet, zero-shot"),
    "lit-l16l": _lit("LiT-L16L", _LARGE, "the text side of LiT-L16L: 75.7 % ImageNet, zero-shot"),
}
