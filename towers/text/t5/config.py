"""T5's `config.json`: from its fields to options, and back.

Promises: every field is known. One that changes what the encoder computes becomes an option, or is refused where it is
neither; one that does not (dropout, the decoder, generation) is ignored; an unknown one is refused by name.

Source: transformers, models/{t5,mt5,umt5}/configuration_*.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.fields import UNCHANGING, Fields
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
}
_EPSILON = "layer_norm_epsilon"
# feed_forward_proj: our name of it, and what transformers derives from it: dense_act_fn, is_gated_act.
_FEED_FORWARD = {"relu": ("relu", "relu", False), "gated-gelu": ("gated_gelu", "gelu_new", True)}
_DEFAULT_FEED_FORWARD = {"t5": "relu", "mt5": "gated-gelu", "umt5": "gated-gelu"}
_IGNORED = rf"{UNCHANGING}|tokenizer|n_positions|num_decoder_layers|scale_decoder_outputs"


def options_of_config(config: Mapping[str, Any], where: str) -> T5TextOptions:
    """Returns the options of the encoder that a `config.json` describes.

    Args:
      config: its content.
      where: its place, for messages.

    Raises:
      OptionsError: a field is missing, unknown, of another type, or of a value that no option has.
    """
    fields = Fields(config, where)
    values: dict[str, Any] = {ours: fields.number(theirs) for theirs, ours in _SIZES.items()}
    values |= {ours: fields.number(theirs) for theirs, ours in _LATER.items() if theirs in fields}
    if _EPSILON in fields:
        values["norm_epsilon"] = fields.real(_EPSILON, 0.0)
    model_type = str(config.get("model_type", "t5"))
    values["feed_forward"] = _feed_forward(fields, model_type)
    fields.require("is_decoder", False)
    fields.ignore(_IGNORED)
    fields.close()
    with fields.named_errors():
        return T5TextOptions(relative_positions="per_block" if model_type == "umt5" else "shared", **values)


def _feed_forward(fields: Fields, model_type: str) -> str:
    name, activation, is_gated = fields.choice("feed_forward_proj", _FEED_FORWARD, _DEFAULT_FEED_FORWARD[model_type])
    fields.require("dense_act_fn", activation)
    fields.require("is_gated_act", is_gated)
    return name


def config_of_options(options: T5TextOptions, vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns the `config.json` of the encoder, which transformers reads, too; pooling and head have no place in it."""
    is_umt5 = options.relative_positions == "per_block"
    names = {ours: theirs for theirs, (ours, _, _) in _FEED_FORWARD.items()}
    return {
        "architectures": ["UMT5EncoderModel" if is_umt5 else "T5EncoderModel"],
        "model_type": "umt5" if is_umt5 else "t5",
        **{theirs: getattr(options, ours) for theirs, ours in {**_SIZES, **_LATER, _EPSILON: "norm_epsilon"}.items()},
        "vocab_size": options.vocabulary_rows or vocabulary.size,
        "feed_forward_proj": names[options.feed_forward],
        "is_encoder_decoder": False,
        "use_cache": False,
        "pad_token_id": vocabulary.pad_id,
        "eos_token_id": vocabulary.end_id,
    }
