"""SigLIP's `config.json`: from its fields to options, and back.

Promises: SigLIP and SigLIP 2, the text side alone or beside the image side, whose fields are not read. A field that is
not known is refused by name, since it may change what the network computes, and so is a known one that asks for another
network; fields of training and of the file are ignored.

Source: transformers, models/{siglip,siglip2}/configuration_*.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text.vit.options import ViTTextOptions
from lit_precompute.towers.tokenizers import Vocabulary

# Our field: (transformers' name, its default there); files leave defaults out.
_SIZES = {
    "width": ("hidden_size", 768),
    "depth": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 12),
    "mlp_width": ("intermediate_size", 3072),
    "max_positions": ("max_position_embeddings", 64),
    "vocabulary_rows": ("vocab_size", 32_000),
}
# What the network is here, whatever the options.
_REQUIRED = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "attention_dropout": 0.0}
_IGNORED = re.compile(
    r"_.*|architectures|model_type|transformers_version|(torch_)?dtype|name_or_path|projection_size|initializer_.*"
    r"|.*_token_id|tie_(word_embeddings|encoder_decoder)|torchscript|use_(cache|bfloat16)|return_dict(_in_generate)?"
    r"|output_(hidden_states|attentions|scores)|id2label|label2id|num_labels|problem_type|finetuning_task"
    r"|task_specific_params|tokenizer_class|prefix|chunk_size_feed_forward|gradient_checkpointing"
    r"|is_(decoder|encoder_decoder)|add_cross_attention|cross_attention_hidden_size|pruned_heads|tf_legacy_loss"
    r"|(max|min)_length|do_sample|early_stopping|num_(beams|beam_groups|return_sequences)|temperature|top_[kp]|typical_p"
    r"|diversity_penalty|(repetition|length)_penalty|(encoder_)?no_repeat_ngram_size|bad_words_ids"
    r"|remove_invalid_values|exponential_decay_length_penalty|suppress_tokens|begin_suppress_tokens"
)


def options_of_config(config: Mapping[str, Any], where: str) -> ViTTextOptions:
    """Returns the options of the text side that a `config.json` describes.

    Args:
      config: its content.
      where: its place, for messages.

    Raises:
      OptionsError: a field that is not known, of another type, or of a value that no text ViT has.
    """
    text = config.get("text_config", {}) if config.get("model_type") in ("siglip", "siglip2") else config
    if not isinstance(text, Mapping):
        raise OptionsError(f"{where}: text_config must be a JSON object, got {text!r:.80}")
    known = {name for name, _ in _SIZES.values()}
    for name, value in text.items():
        if name in _REQUIRED and value != _REQUIRED[name]:
            raise OptionsError(f"{where}: {name} must be {_REQUIRED[name]!r} for SigLIP's text side, got {value!r:.80}")
        if name not in known and name not in _REQUIRED and not _IGNORED.fullmatch(name):
            raise OptionsError(
                f"{where}: {name} is not known, and may change what the network computes, got {value!r:.80}; remove it "
                "from a copy of the file if it does not"
            )
    fields = {ours: text.get(theirs, default) for ours, (theirs, default) in _SIZES.items()}
    for (theirs, _), value in zip(_SIZES.values(), fields.values(), strict=True):
        if type(value) is not int or value < 1:
            raise OptionsError(f"{where}: {theirs} must be a whole number >= 1, got {value!r:.80}")
    try:
        return ViTTextOptions(**fields)
    except ValueError as error:
        raise OptionsError(f"{where}: {error}") from error


def config_of_options(options: ViTTextOptions, vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns the `config.json` with which transformers builds this tower; its head is as wide as the tower."""
    assert options.max_positions is not None, "positions are as many as tokens: say how many"
    values = {ours: getattr(options, ours) for ours in _SIZES} | {
        "vocabulary_rows": options.vocabulary_rows or vocabulary.size
    }
    return {
        "architectures": ["SiglipTextModel"],
        "model_type": "siglip_text_model",
        **{theirs: values[ours] for ours, (theirs, _) in _SIZES.items()},
        **_REQUIRED,
        "projection_size": options.width,
        "pad_token_id": vocabulary.end_id if vocabulary.pad_id is None else vocabulary.pad_id,
        "eos_token_id": vocabulary.end_id,
        "bos_token_id": None,
    }
