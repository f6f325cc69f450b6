"""From a `config.json` to options and back; what would change the network is refused by name."""

import dataclasses

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import BertTextOptions
from lit_precompute.towers.text.bert.config import config_of_options, options_of_config
from lit_precompute.towers.tokenizers import Vocabulary
from tests.oracles import bert as oracle
from tests.towers.text.bert.making import SMALL, options_of

# As published, with the fields that old versions of transformers and scripts of training left in them.
MULTILINGUAL = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
    "position_embedding_type": "absolute",
    "transformers_version": "4.35.2",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 119547,
}
DISTILBERT = {
    "activation": "gelu",
    "architectures": ["DistilBertForMaskedLM"],
    "attention_dropout": 0.1,
    "dim": 768,
    "dropout": 0.1,
    "hidden_dim": 3072,
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "model_type": "distilbert",
    "n_heads": 12,
    "n_layers": 6,
    "pad_token_id": 0,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
    "transformers_version": "4.10.0.dev0",
    "vocab_size": 30522,
}
XLM_R = {
    "architectures": ["XLMRobertaForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "model_type": "xlm-roberta",
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "output_past": True,
    "pad_token_id": 1,
    "position_embedding_type": "absolute",
    "transformers_version": "4.17.0.dev0",
    "type_vocab_size": 1,
    "use_cache": True,
    "vocab_size": 250002,
}


def test_published_configurations():
    assert options_of_config(MULTILINGUAL, "") == BertTextOptions(vocabulary_rows=119_547)
    assert options_of_config(DISTILBERT, "") == BertTextOptions(depth=6, num_segments=0, vocabulary_rows=30_522)
    assert options_of_config(XLM_R, "") == BertTextOptions(
        width=1024,
        depth=24,
        num_heads=16,
        mlp_width=4096,
        norm_epsilon=1e-5,
        num_segments=1,
        max_positions=514,
        padding_position=1,
        vocabulary_rows=250_002,
    )


@pytest.mark.parametrize("file", oracle.FILES)
def test_a_configuration_that_is_written_gives_the_same_options_and_transformers_values(file):
    options, pad_id = options_of(file, head="linear"), oracle.PAD_IDS[file]
    written = config_of_options(options, Vocabulary(oracle.VOCABULARY_SIZE, end_id=2, pad_id=pad_id))
    assert options_of_config(written, "written") == options
    original = oracle.read_config(file)
    # XLM-R is RoBERTa under another name.
    renamed = {"xlm-roberta": "roberta"}.get(original["model_type"], original["model_type"])
    compared = original | {"model_type": renamed, "architectures": written["architectures"]}
    compared["position_embedding_type"] = "absolute"  # which transformers 5 no longer saves
    assert {name: compared[name] for name in written} == written


def test_the_size_of_the_vocabulary_is_written_where_the_options_leave_it_open():
    written = config_of_options(SMALL, Vocabulary(77, end_id=2, pad_id=5))
    assert (written["vocab_size"], written["pad_token_id"]) == (77, 5)


def test_missing_fields_have_the_defaults_of_transformers():
    assert options_of_config({"model_type": "bert"}, "") == BertTextOptions(vocabulary_rows=30_522)
    distilbert = options_of_config({"model_type": "distilbert"}, "")
    assert (distilbert.depth, distilbert.num_segments) == (6, 0)
    assert options_of_config({"model_type": "roberta"}, "").padding_position == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type must be 'absolute', got 'relative_key'"),
        ({"is_decoder": True}, "is_decoder must be False, got True"),
        ({"add_cross_attention": True}, "add_cross_attention must be False, got True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads must be {}, got"),
        ({"hidden_act": "silu"}, "hidden_act must be 'gelu' or .* got 'silu'"),
        ({"embedding_size": 128}, "embedding_size is not known, and may change what the tower computes, got 128"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is not known"),
        ({"hidden_size": "768"}, "hidden_size must be a whole number >= 1, got '768'"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps must be a number >= 0, got '1e-12'"),
        ({"num_attention_heads": 7}, "num_heads must divide the width: width 768, num_heads 7"),
    ],
)
def test_what_changes_the_network_is_refused_by_name(changes, message):
    with pytest.raises(OptionsError, match=f"there/config.json: .*{message}"):
        options_of_config(MULTILINGUAL | changes, "there/config.json")


def test_a_field_that_is_not_set_is_no_field():
    assert options_of_config(MULTILINGUAL | {"embedding_size": None, "pruned_heads": {}}, "") == options_of_config(
        MULTILINGUAL, ""
    )


@pytest.mark.parametrize("change", [{"norm_epsilon": 1e-5}, {"padding_position": 1}])
def test_a_model_that_transformers_lacks_is_not_written(change):
    options = dataclasses.replace(SMALL, num_segments=0, **change)
    with pytest.raises(OptionsError, match="give num_segments 1"):
        config_of_options(options, Vocabulary(77, end_id=2, pad_id=5))
