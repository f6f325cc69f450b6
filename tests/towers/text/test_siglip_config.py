"""SigLIP's config.json: published ones, the way back, and fields that are refused."""

import json

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import ViTTextOptions, resolve_text_tower
from lit_precompute.towers.text.vit.config import config_of_options, options_of_config
from lit_precompute.towers.tokenizers import Vocabulary

# As on the hub; what is left out has transformers' defaults.
BASE = {
    "architectures": ["SiglipModel"],
    "initializer_factor": 1.0,
    "model_type": "siglip",
    "text_config": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "model_type": "siglip_text_model",
        "num_attention_heads": 12,
        "vocab_size": 32000,
    },
    "transformers_version": "4.37.0.dev0",
    "vision_config": {"model_type": "siglip_vision_model", "patch_size": 16},
}
LARGE_TEXT = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "model_type": "siglip_text_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (BASE, "google/siglip-base-patch16-224"),
        ({"model_type": "siglip", "text_config": LARGE_TEXT}, "google/siglip-large-patch16-256"),
        (LARGE_TEXT, "google/siglip-large-patch16-256"),
    ],
    ids=["base", "large", "text side alone"],
)
def test_a_published_config_gives_the_options_of_its_name(config: dict, name: str):
    _, entry = resolve_text_tower(name)
    assert entry is not None
    assert options_of_config(config, "config.json") == entry.options


def test_options_become_a_config_and_come_back():
    options = ViTTextOptions(width=64, depth=3, num_heads=4, mlp_width=160, max_positions=7)
    config = config_of_options(options, Vocabulary(101, end_id=1))
    back = options_of_config(json.loads(json.dumps(config)), "config.json")
    # The file says how many rows the table of tokens has.
    assert back == ViTTextOptions(width=64, depth=3, num_heads=4, mlp_width=160, max_positions=7, vocabulary_rows=101)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"hidden_act": "quick_gelu"},
            "hidden_act must be 'gelu_pytorch_tanh', got 'quick_gelu'",
        ),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps must be 1e-06, got 1e-05"),
        ({"causal": True}, "causal is not known, and may change what the tower computes, got True"),
        ({"num_attention_heads": 5}, "num_heads must divide the width: width 768, num_heads 5"),
        ({"hidden_size": "768"}, "hidden_size must be a whole number >= 1, got '768'"),
    ],
)
def test_refuses_by_name_what_would_be_another_network(change: dict, message: str):
    config = BASE | {"text_config": BASE["text_config"] | change}
    with pytest.raises(OptionsError, match=f"some/config.json: .*{message}"):
        options_of_config(config, "some/config.json")


def test_fields_of_training_and_generation_are_ignored():
    """transformers once wrote all of its defaults into a part's configuration."""
    more = {"top_k": 50, "length_penalty": 1.0, "id2label": {"0": "a"}, "initializer_range": 0.02, "torch_dtype": None}
    config = BASE | {"text_config": BASE["text_config"] | more}
    assert options_of_config(config, "it") == options_of_config(BASE, "it")
