"""Tiny text towers of every family as transformers saves them: config.json, model.safetensors, tokenizer.json."""

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from tests.oracles import bert, siglip_text, t5
from tests.tune.small_runs import NUM_WORDS


class SavedTower(NamedTuple):
    """What a folder holds.

    Attributes:
      config: its config.json.
      arrays: its weights, under transformers' names.
      special: the tokenizer's special tokens, which have the first ids; the words follow.
      template: the tokens around a text.
    """

    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    special: list[str]
    template: str


def _bert(file: str, special: list[str], template: str) -> SavedTower:
    return SavedTower(bert.read_config(file), bert.draw_file(file), special, template)


def _t5(file: str) -> SavedTower:
    config = json.loads(t5.CONFIGS.read_text(encoding="utf-8"))[file]
    return SavedTower(config, t5.draw_file(file), ["<pad>", "</s>", "<unk>"], "$A </s>")


def _siglip() -> SavedTower:
    config = {"model_type": "siglip_text_model", **siglip_text.SMALL}
    arrays = siglip_text.draw_file("siglip")
    text = {name: values for name, values in arrays.items() if name.startswith("text_model.")}
    return SavedTower(config, text, ["<unk>", "</s>"], "$A </s>")


FAMILIES = {
    "bert": lambda: _bert("bert-small", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], "[CLS] $A [SEP]"),
    "roberta": lambda: _bert("roberta-small", ["<s>", "<pad>", "</s>", "<unk>"], "<s> $A </s>"),
    "distilbert": lambda: _bert("distilbert-small", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], "[CLS] $A [SEP]"),
    "siglip": _siglip,
    "t5": lambda: _t5("t5"),
    "t5-v1_1": lambda: _t5("t5-v1_1"),
    "umt5": lambda: _t5("umt5"),
}


def save_folder(folder: pathlib.Path, family: str) -> str:
    """Writes the folder of a family, with a tokenizer of the words of `write_dataset`."""
    tower = FAMILIES[family]()
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(tower.config), encoding="utf-8")
    safetensors.numpy.save_file(tower.arrays, folder / "model.safetensors", {"format": "pt"})
    words = [*tower.special, *(f"word{number}" for number in range(NUM_WORDS))]
    unknown = next(token for token in tower.special if "unk" in token.lower())
    vocabulary = {word: number for number, word in enumerate(words)}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unknown))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(tower.special)
    backend.post_processor = processors.TemplateProcessing(
        single=tower.template, special_tokens=[(token, vocabulary[token]) for token in tower.special]
    )
    backend.save(str(folder / "tokenizer.json"))
    return str(folder)
