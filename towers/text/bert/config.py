"""BERT's options from a Hugging Face `config.json`, and back.

Promises: a field that is not known here is refused by name, since it may change what the network computes; so is a
known one whose value asks for another network (a decoder, relative positions). Fields of training and of tasks are
ignored.

Source: transformers, models/bert, roberta, xlm_roberta and distilbert.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.fields import UNCHANGING, Fields
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.tokenizers import Vocabulary

# Our field: (transformers' name, its default there).
_SIZES = {
    "width": ("hidden_size", 768),
    "depth": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 12),
    "mlp_width": ("intermediate_size", 3072),
    "max_positions": ("max_position_embeddings", 512),
    "vocabulary_rows": ("vocab_size", 30_522),
}
_DISTILBERT_NAMES = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
}
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}
_EPSILON = 1e-12  # DistilBERT's code has no other
_IGNORED = (
    rf"{UNCHANGING}|pooler_.*|directionality|summary_.*|language|classifiers_size"
    r"|sentence_transformers|sbert_.*|adapters"
)


def options_of_config(config: Mapping[str, Any], where: str) -> BertTextOptions:
    """Returns the options of a `config.json` of BERT, RoBERTa, XLM-R or DistilBERT.

    Args:
      config: its content.
      where: names it in errors.

    Raises:
      OptionsError: a field that is not known, or a value that no tower of this family has; the message names it.
    """
    fields = Fields(config, where)
    model_type = config.get("model_type")
    is_distilbert = model_type == "distilbert"
    names = _DISTILBERT_NAMES if is_distilbert else {}
    values: dict[str, Any] = {
        ours: fields.number(names.get(theirs, theirs), 6 if is_distilbert and ours == "depth" else default)
        for ours, (theirs, default) in _SIZES.items()
    }
    values["activation"] = fields.choice(names.get("hidden_act", "hidden_act"), _ACTIVATIONS, "gelu")
    values |= {"norm_epsilon": _EPSILON, "num_segments": 0}
    if not is_distilbert:
        values["num_segments"] = fields.number("type_vocab_size", 2)
        values["norm_epsilon"] = fields.real("layer_norm_eps", _EPSILON)
    if model_type in ("roberta", "xlm-roberta"):
        values["padding_position"] = fields.number("pad_token_id", 1, least=0)
    _require(fields)
    fields.ignore(_IGNORED)
    fields.close()
    with fields.named_errors():
        return BertTextOptions(**values)


def _require(fields: Fields) -> None:
    """Refuses other networks of these families."""
    fields.require("position_embedding_type", "absolute")
    for name in ("is_decoder", "add_cross_attention", "is_encoder_decoder"):
        fields.require(name, False)
    fields.require("pruned_heads", {})
    fields.require("sinusoidal_pos_embds", False, True)  # either way the file has the table


def config_of_options(options: BertTextOptions, vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns the `config.json` with which transformers builds this tower, without its head.

    Raises:
      OptionsError: transformers has no such model: without segments, but with another epsilon or positions of padding.
    """
    is_distilbert = options.num_segments == 0
    if is_distilbert and (options.padding_position is not None or not math.isclose(options.norm_epsilon, _EPSILON)):
        raise OptionsError(
            "transformers' only model without segments, DistilBERT, needs text_tower.norm_epsilon 1e-12 and no "
            f"padding_position, got {options.norm_epsilon} and {options.padding_position}; give num_segments 1"
        )
    is_roberta = options.padding_position is not None
    model_type = "distilbert" if is_distilbert else "roberta" if is_roberta else "bert"
    names = _DISTILBERT_NAMES if is_distilbert else {}
    config: dict[str, Any] = {
        "architectures": [
            {"distilbert": "DistilBertModel", "roberta": "RobertaModel", "bert": "BertModel"}[model_type]
        ],
        "model_type": model_type,
    }
    values = dataclasses.asdict(options) | {"vocabulary_rows": options.vocabulary_rows or vocabulary.size}
    config |= {names.get(theirs, theirs): values[ours] for ours, (theirs, _) in _SIZES.items()}
    spelling = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}[options.activation]
    config[names.get("hidden_act", "hidden_act")] = spelling
    config["pad_token_id"] = options.padding_position if is_roberta else vocabulary.pad_id
    if not is_distilbert:
        config |= {"layer_norm_eps": options.norm_epsilon, "type_vocab_size": options.num_segments}
        config["position_embedding_type"] = "absolute"
    return config
