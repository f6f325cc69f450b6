"""Combinations that are refused before anything is read, word by word, and those that are not."""

import dataclasses
import re

import pytest

from lit_precompute.commands.tune.flags import parse
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import BertTextOptions, T5TextOptions, ViTTextOptions, text_towers
from lit_precompute.towers.tokenizers import HuggingFaceOptions, SentencePieceOptions
from lit_precompute.tune.config.checks import check_recipe
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.config.starts import start_from
from lit_precompute.tune.data.texts import TextOptions
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.recipes import RECIPES

BERT = "google-bert/bert-base-uncased"
BERT_TOKENIZER = HuggingFaceOptions(path="hf://google-bert/bert-base-uncased")
T5_TOKENIZER = SentencePieceOptions(path="hf://google-t5/t5-base", special_tokens="published")


def message(recipe: Recipe) -> str:
    with pytest.raises(OptionsError) as error:
        check_recipe(recipe)
    return str(error.value)


def test_texts_longer_than_the_tower():
    recipe = Recipe(text=TextOptions(max_tokens=513), text_tower=BertTextOptions())
    assert message(recipe) == "text.max_tokens must be <= 512, the positions of this tower, got 513"
    check_recipe(dataclasses.replace(recipe, text=TextOptions(max_tokens=512)))
    recipe = Recipe(text=TextOptions(max_tokens=17), text_tower=ViTTextOptions(max_positions=16))
    assert message(recipe) == "text.max_tokens must be <= 16, the positions of this tower, got 17"
    check_recipe(Recipe(text=TextOptions(max_tokens=4_000), text_tower=T5TextOptions()))


def test_weights_of_another_family_and_what_fits():
    recipe = Recipe(tokenizer=BERT_TOKENIZER, text_tower=T5TextOptions(weights=BERT))
    assert message(recipe) == (
        f"text_tower.weights '{BERT}' are of another tower: kind bert, while text_tower has kind t5; "
        "google-t5/t5-base, sentence-transformers/sentence-t5-base would fit"
    )


def test_weights_of_another_size_and_what_fits():
    large = {"width": 1024, "depth": 24, "num_heads": 16, "mlp_width": 4096}
    recipe = Recipe(tokenizer=BERT_TOKENIZER, text_tower=BertTextOptions(weights=BERT, **large))
    assert message(recipe) == (
        f"text_tower.weights '{BERT}' are of another tower: width 768, depth 12, num_heads 12, mlp_width 3072, while "
        "text_tower has width 1024, depth 24, num_heads 16, mlp_width 4096; google-bert/bert-large-uncased, "
        "FacebookAI/roberta-large, FacebookAI/xlm-roberta-large and 1 more would fit"
    )
    odd = Recipe(tokenizer=BERT_TOKENIZER, text_tower=BertTextOptions(weights=BERT, depth=5))
    assert message(odd).endswith(
        "depth 12, while text_tower has depth 5; no tower of `lit-tune towers` has these sizes"
    )


def test_an_architecture_has_no_weights():
    recipe = Recipe(text_tower=ViTTextOptions(weights="vit-base"))
    assert message(recipe) == (
        "text_tower.weights must be a tower with published weights, got 'vit-base', an architecture: give None for a "
        "random start"
    )


def test_a_tokenizer_trained_here_does_not_go_with_weights():
    recipe = Recipe(tokenizer=SentencePieceOptions(), text_tower=BertTextOptions(weights=BERT, vocabulary_rows=40_000))
    assert message(recipe) == (
        f"tokenizer.path must be that of '{BERT}' (huggingface, hf://{BERT}), got None: ids of a tokenizer that is "
        "trained on the captions would stand for other pieces than in the weights"
    )


@pytest.mark.parametrize("name", [name for name, entry in text_towers().items() if entry.weights])
def test_every_named_tower_goes_with_its_own_tokenizer(name):
    check_recipe(start_from(Recipe(), name))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(optimizer=AdamOptions(timescale_steps=5)), "optimizer.timescale_steps is of the schedule rsqrt, and "),
        (Recipe(text=TextOptions(separator="/")), "text.separator is of joined texts, and text.choice is sample"),
        (Recipe(text_tower=ViTTextOptions(head_start="random")), "text_tower.head_start random is of a tower with wei"),
    ],
)
def test_what_nothing_would_use_is_refused(recipe, message):
    with pytest.raises(OptionsError, match=re.escape(message)):
        check_recipe(recipe)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes(name):
    check_recipe(RECIPES[name].recipe)


def test_a_copy_of_a_tokenizer_elsewhere_is_taken():
    options = dataclasses.replace(BERT_TOKENIZER, path="vocab.txt")
    check_recipe(Recipe(tokenizer=options, text_tower=BertTextOptions(weights=BERT)))


def test_the_command_line_is_refused_before_the_dataset_is_opened():
    places = ["--dataset", "d", "--output", "o"]
    with pytest.raises(
        OptionsError, match=re.escape("text.max_tokens must be <= 16, the positions of this tower, got 20")
    ):
        parse([*places, "--text-tower.weights", "lit-l16s", "--text.max-tokens", "20"])
    with pytest.raises(OptionsError, match=r"kind bert, width 768, .*, while text_tower has kind t5, width 512"):
        flags = [
            "--recipe",
            "fig1-clip-LU-vit-b32-bert-base-wp",
            "--text-tower.kind",
            "t5",
            "--text-tower.width",
            "512",
        ]
        parse([*places, *flags, "--text-tower.num-heads", "8"])
