"""T5's config.json, as transformers writes it and as authors publish it; and T5's options."""

import dataclasses

import pytest

from lit_precompute.towers.text import T5TextOptions
from lit_precompute.towers.text.t5.config import config_of_options, options_of_config
from lit_precompute.towers.tokenizers import Vocabulary
from tests.oracles import t5 as oracle
from tests.towers.text.t5.making import saved_config

# google/t5-v1_1-xl's, whose authors' first version had fewer fields than today's.
PUBLISHED = {
    "_name_or_path": "/home/patrick/t5/t5-v1_1-xl",
    "architectures": ["T5ForConditionalGeneration"],
    "d_ff": 5120,
    "d_kv": 64,
    "d_model": 2048,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "num_decoder_layers": 24,
    "num_heads": 32,
    "num_layers": 24,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "vocab_size": 32128,
}


def test_reads_what_authors_publish():
    assert options_of_config(PUBLISHED, "config.json") == T5TextOptions(
        width=2048,
        depth=24,
        num_heads=32,
        head_width=64,
        mlp_width=5120,
        feed_forward="gated_gelu",
        num_buckets=32,
        max_distance=128,
        vocabulary_rows=32_128,
    )


@pytest.mark.parametrize("file", oracle.FILES)
def test_back_again(file):
    """What we write has the values that transformers writes, and is read as the same options."""
    config = saved_config(file)
    options = options_of_config(config, "config.json")
    written = config_of_options(options, Vocabulary(size=99, end_id=1, pad_id=0))
    assert options_of_config(written, "config.json") == options
    ours = {"architectures", "is_encoder_decoder", "use_cache", "model_type"}
    same = written.keys() - ours
    assert {name: written[name] for name in same} == {name: config[name] for name in same}
    assert written["model_type"] == ("umt5" if config["model_type"] == "umt5" else "t5")


def test_without_rows_of_its_own_the_table_has_the_tokenizers():
    written = config_of_options(T5TextOptions(), Vocabulary(size=99, end_id=2, pad_id=5))
    assert (written["vocab_size"], written["eos_token_id"], written["pad_token_id"]) == (99, 2, 5)


@pytest.mark.parametrize(
    ("model_type", "feed_forward"), [("t5", "relu"), ("mt5", "gated_gelu"), ("umt5", "gated_gelu")]
)
def test_a_missing_feed_forward_is_the_familys(model_type, feed_forward):
    config = {name: value for name, value in PUBLISHED.items() if name != "feed_forward_proj"}
    options = options_of_config(config | {"model_type": model_type}, "config.json")
    assert options.feed_forward == feed_forward
    assert options.relative_positions == ("per_block" if model_type == "umt5" else "shared")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sliding_window": 4, "rope_theta": 1e4}, r"x/config\.json: rope_theta is not known, .* got 10000\.0"),
        ({"quantization_config": {}}, "quantization_config is not known"),
        ({"feed_forward_proj": "gated-silu"}, "feed_forward_proj must be 'relu' or 'gated-gelu', got 'gated-silu'"),
        (
            {"dense_act_fn": "gelu"},
            "dense_act_fn must be 'gelu_new', got 'gelu'",
        ),
        ({"is_gated_act": False}, "is_gated_act must be True, got False"),
        ({"is_decoder": True}, "is_decoder must be False"),
        ({"d_model": "2048"}, "d_model must be a whole number >= 1, got '2048'"),
        ({"num_layers": True}, "num_layers must be a whole number >= 1, got True"),
        ({"num_layers": 0}, r"x/config\.json: num_layers must be a whole number >= 1, got 0"),
    ],
)
def test_refuses_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        options_of_config(PUBLISHED | change, "x/config.json")


def test_refuses_a_config_without_sizes():
    config = {name: value for name, value in PUBLISHED.items() if name not in ("d_kv", "d_ff")}
    with pytest.raises(ValueError, match="d_kv must be a whole number >= 1, got None"):
        options_of_config(config, "config.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_width": 0}, r"head_width must be in \[1, 65536\], got 0"),
        ({"feed_forward": "gelu"}, "feed_forward must be one of relu, gated_gelu, got 'gelu'"),
        ({"num_buckets": 3}, r"num_buckets must be in \[4, 65536\], got 3"),
        ({"max_distance": 8}, r"max_distance must be > num_buckets // 4 \(8\), got 8"),
        ({"norm_epsilon": 0.0}, r"norm_epsilon must be in \(0, 1\), got 0.0"),
        ({"pooling": "map"}, "pooling must be one of"),
    ],
)
def test_refuses_impossible_options(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(T5TextOptions(), **change)


def test_heads_need_not_divide_the_width():
    T5TextOptions(width=512, num_heads=6)
