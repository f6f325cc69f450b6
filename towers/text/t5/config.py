"""T5's `config.json`: from its fields to options, and back.

Promises: every field is known. One that changes what the encoder computes becomes an option, or is refused where it is
neither; one that does not (dropout, the decoder, generation) is ignored; an unknown one is refused by name.

Source: transformers, models/{t5,mt5,umt5}/configuration_*.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text.t5.options import T5TextOptions
from lit_precompute.towers.tokenizers import Vocabulary

_SIZES = {
    "d_model": "width",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "d_kv": "head_width",
    "d_ff": "mlp_width",
    "vocab_size": "vocabulary_rows",
}
# Files of early versions lack them; then they have the default.
_LATER = {
    "relative_attention_num_buckets": "num_buckets",
    "relative_attention_max_distance": "max_distance",
    "layer_norm_epsilon": "norm_epsilon",
}
# feed_forward_proj: our name of it, and what transformers derives from it: dense_act_fn, is_gated_act.
_FEED_FORWARD = {"relu": ("relu", "relu", False), "gated-gelu": ("gated_gelu", "gelu_new", True)}
_DEFAULT_FEED_FORWARD = {"t5": "relu", "mt5": "gated-gelu", "umt5": "gated-gelu"}
# Whole names of fields that leave the encoder's numbers alone.
_IGNORED = re.compile(
    r"""_.* | architectures | model_type | transformers_version | (torch_)?dtype | tokenizer(_class)? | prefix
    | dropout_rate | classifier_dropout | initializer_factor | gradient_checkpointing | chunk_size_feed_forward
    | (bos|eos|pad|sep|cls|mask|unk|decoder_start|forced_bos|forced_eos)_token_id | n_positions | output_past
    | num_decoder_layers | is_encoder_decoder | add_cross_attention | tie_(word_embeddings|encoder_decoder)
    | scale_decoder_outputs | use_cache | output_(attentions|hidden_states|scores) | (use_)?return_dict(_in_generate)?
    | id2label | label2id | num_labels | problem_type | finetuning_task | task_specific_params
    | (max|min)_length | num_beams | num_beam_groups | num_return_sequences | do_sample | early_stopping | temperature
    | top_[kp] | typical_p | length_penalty | diversity_penalty | repetition_penalty | (encoder_)?no_repeat_ngram_size
    """,
    re.VERBOSE,
)


def options_of_config(config: Mapping[str, Any], where: str) -> T5TextOptions:
    """Returns the options of the encoder that a `config.json` describes.

    Args:
      config: its content.
      where: its place, for messages.

    Raises:
      OptionsError: a field is missing, unknown, of another type, or of a value that no option has.
    """
    missing = [name for name in _SIZES if name not in config]
    if missing:
        raise OptionsError(f"{where}: a T5 encoder's sizes must be given, {', '.join(missing)} missing")
    known = {**_SIZES, **_LATER, "feed_forward_proj": "", "dense_act_fn": "", "is_gated_act": "", "is_decoder": ""}
    unknown = [
        name
        for name, value in config.items()
        if name not in known and value is not None and not _IGNORED.fullmatch(name)
    ]
    if unknown:
        raise OptionsError(
            f"{where}: fields not known: {', '.join(unknown)}; they may change what the encoder computes: remove those "
            "that do not"
        )
    if config.get("is_decoder"):
        raise OptionsError(f"{where}: is_decoder must be false, got true; a decoder is no text tower")
    fields = {ours: _number(config, theirs, where) for theirs, ours in {**_SIZES, **_LATER}.items() if theirs in config}
    model_type = str(config.get("model_type", "t5"))
    positions = "per_block" if model_type == "umt5" else "shared"
    try:
        return T5TextOptions(
            **fields, feed_forward=_feed_forward(config, model_type, where), relative_positions=positions
        )
    except ValueError as error:
        raise OptionsError(f"{where}: {error}") from error


def _number(config: Mapping[str, Any], name: str, where: str) -> Any:
    value = config[name]
    if type(value) is not int and not (name == "layer_norm_epsilon" and type(value) is float):
        raise OptionsError(f"{where}: {name} must be a number, got {value!r:.80}")
    return value


def _feed_forward(config: Mapping[str, Any], model_type: str, where: str) -> Any:
    given = config.get("feed_forward_proj", _DEFAULT_FEED_FORWARD[model_type])
    if given not in _FEED_FORWARD:
        raise OptionsError(f"{where}: feed_forward_proj must be {' or '.join(_FEED_FORWARD)}, got {given!r:.80}")
    name, activation, is_gated = _FEED_FORWARD[given]
    for field, derived in (("dense_act_fn", activation), ("is_gated_act", is_gated)):
        if config.get(field, derived) != derived:
            raise OptionsError(
                f"{where}: {field} must be {derived!r} where feed_forward_proj is {given!r}, got {config[field]!r:.80}"
            )
    return name


def config_of_options(options: T5TextOptions, vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns the `config.json` of the encoder, which transformers reads, too; pooling and head have no place in it."""
    is_umt5 = options.relative_positions == "per_block"
    names = {ours: theirs for theirs, (ours, _, _) in _FEED_FORWARD.items()}
    return {
        "architectures": ["UMT5EncoderModel" if is_umt5 else "T5EncoderModel"],
        "model_type": "umt5" if is_umt5 else "t5",
        **{theirs: getattr(options, ours) for theirs, ours in {**_SIZES, **_LATER}.items()},
        "vocab_size": options.vocabulary_rows or vocabulary.size,
        "feed_forward_proj": names[options.feed_forward],
        "is_encoder_decoder": False,
        "use_cache": False,
        "pad_token_id": vocabulary.pad_id,
        "eos_token_id": vocabulary.end_id,
    }
