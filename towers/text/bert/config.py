"""BERT's options from a Hugging Face `config.json`, and back.

Promises: a field that is not known here is refused by name, since it may change what the network computes; so is a
known one whose value asks for another network (a decoder, relative positions). Fields of training and of tasks are
ignored.

Source: transformers, models/bert, roberta, xlm_roberta and distilbert.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

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
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}
_EPSILON = 1e-12  # DistilBERT's code has no other
# The one value that leaves the network as it is here.
_REQUIRED: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "sinusoidal_pos_embds": (False, True),  # either way the file has the table
}
# What changes no embedding: about training, tasks, generation and the file itself.
_IGNORED = re.compile(
    r"_.*|architectures|model_type|transformers_version|(torch_)?dtype|auto_map|name_or_path"
    r"|.*dropout(_prob)?|initializer_(range|factor)|layerdrop|gradient_checkpointing|chunk_size_feed_forward"
    r"|.*_token_id|tie_weights_|tie_(word_embeddings|encoder_decoder)|torchscript|use_(cache|bfloat16)|return_dict"
    r"|output_(past|hidden_states|attentions)|(id2label|label2id|num_labels)|problem_type|finetuning_task"
    r"|task_specific_params|tokenizer_class|prefix|pooler_.*|directionality|summary_.*|language|classifiers_size"
    r"|sentence_transformers|sbert_.*|adapters|attn_implementation"
    r"|(max|min)_length|do_sample|early_stopping|num_(beams|beam_groups|return_sequences)|temperature|top_[kp]|typical_p"
    r"|diversity_penalty|(repetition|length)_penalty|(encoder_)?no_repeat_ngram_size|bad_words_ids"
    r"|remove_invalid_values|exponential_decay_length_penalty|suppress_tokens|begin_suppress_tokens|forced_.*"
)


def options_of_config(config: Mapping[str, Any], where: str) -> BertTextOptions:
    """Returns the options of a `config.json` of BERT, RoBERTa, XLM-R or DistilBERT.

    Args:
      config: its content.
      where: names it in errors.

    Raises:
      OptionsError: a field that is not known, or a value that no tower of this family has; the message names it.
    """
    model_type = config.get("model_type")
    is_distilbert, is_roberta = model_type == "distilbert", model_type in ("roberta", "xlm-roberta")
    names = _DISTILBERT_NAMES if is_distilbert else {}
    sizes = {ours: (names.get(theirs, theirs), default) for ours, (theirs, default) in _SIZES.items()}
    activation = names.get("hidden_act", "hidden_act")
    known = {name for name, _ in sizes.values()} | {activation}
    known |= set() if is_distilbert else {"layer_norm_eps", "type_vocab_size"}
    _check_fields(config, known, where)
    fields: dict[str, Any] = {
        ours: _number(config, theirs, 6 if theirs == "n_layers" else default, where)
        for ours, (theirs, default) in sizes.items()
    }
    if (spelling := config.get(activation, "gelu")) not in _ACTIVATIONS:
        raise OptionsError(f"{where}: {activation} must be one of {', '.join(_ACTIVATIONS)}, got {spelling!r}")
    fields |= {"activation": _ACTIVATIONS[spelling], "norm_epsilon": _EPSILON, "num_segments": 0}
    if not is_distilbert:
        fields["num_segments"] = _number(config, "type_vocab_size", 2, where)
        fields["norm_epsilon"] = _epsilon(config, where)
    if is_roberta:
        fields["padding_position"] = _number(config, "pad_token_id", 1, where)
    try:
        return BertTextOptions(**fields)
    except ValueError as error:
        raise OptionsError(f"{where}: {error}") from error


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


def _check_fields(config: Mapping[str, Any], known: set[str], where: str) -> None:
    for name, value in config.items():
        if name in _REQUIRED:
            if value is not None and value not in _REQUIRED[name]:
                wanted = " or ".join(map(repr, _REQUIRED[name]))
                raise OptionsError(f"{where}: {name} must be {wanted} for a text tower of this family, got {value!r}")
        elif name not in known and value is not None and not _IGNORED.fullmatch(name):
            raise OptionsError(
                f"{where}: {name} is not known, and may change what the network computes, got {value!r}; if it does "
                "not, remove it from a copy of the file"
            )


def _number(config: Mapping[str, Any], name: str, default: int, where: str) -> int:
    value = config.get(name, default)
    if type(value) is not int:
        raise OptionsError(f"{where}: {name} must be a whole number, got {value!r}")
    return value


def _epsilon(config: Mapping[str, Any], where: str) -> float:
    value = config.get("layer_norm_eps", _EPSILON)
    if type(value) not in (int, float):
        raise OptionsError(f"{where}: layer_norm_eps must be a number, got {value!r}")
    return float(value)
