"""What a `config.json` is read into, and the fields that the readers of several families share."""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Family, TowerConfig
from lit_precompute.towers.fields import Fields

ACTIVATIONS = {"gelu": "exact", "gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "quick_gelu": "quick"}
# What changes no embedding: about training, tasks and the file itself.
IGNORED = (
    r"_.*|architectures|model_type|transformers_version|(torch_)?dtype|auto_map|attn_implementation|name_or_path"
    r"|.*dropout(_prob|_rate)?|drop_path_rate|initializer_(range|factor)|gradient_checkpointing|layerscale_value"
    r"|id2label|label2id|num_labels|problem_type|finetuning_task|encoder_stride|out_(features|indices)|stage_names"
    r"|apply_layernorm|reshape_hidden_states|use_mask_token|image_size|torchscript|return_dict|use_return_dict"
    r"|output_(attentions|hidden_states)|use_bfloat16|chunk_size_feed_forward|is_decoder|is_encoder_decoder"
    r"|pruned_heads|cross_attention_hidden_size|add_cross_attention|tie_(word_embeddings|encoder_decoder)"
    r"|.*_token_id|(max|min)_length|do_sample|early_stopping|num_(beams|beam_groups|return_sequences)|temperature"
    r"|top_[kp]|typical_p|diversity_penalty|(repetition|length)_penalty|(encoder_)?no_repeat_ngram_size|bad_words_ids"
    r"|remove_invalid_values|exponential_decay_length_penalty|suppress_tokens|begin_suppress_tokens|forced_.*"
    r"|output_scores|return_dict_in_generate|task_specific_params|tokenizer_class|prefix|tf_legacy_loss"
    r"|conv_layer|embedding_dynamic_padding_value|interpolate_(antialias|offset)|semantic_loss_ignore_index"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network of a known family.

    Attributes:
      family: its family.
      config: its configuration, at the resolution that its images have.
    """

    family: Family[Any]
    config: TowerConfig


def transformer_sizes(fields: Fields, **given: Any) -> dict[str, Any]:
    """Takes what all Vision Transformers have."""
    activation = given.pop("activation", "gelu")
    return {
        "width": fields.number("hidden_size", 768),
        "depth": fields.number("num_hidden_layers", 12),
        "num_heads": fields.number("num_attention_heads", 12),
        "activation": fields.choice("hidden_act", ACTIVATIONS, activation),
        "position_resize": "bicubic",
        **given,
    }


def close_side(fields: Fields) -> None:
    """Refuses what is left of one side; a model's own projection width says nothing here."""
    fields.require("num_channels", 3)
    fields.ignore(f"projection_dim|{IGNORED}")
    fields.close()
