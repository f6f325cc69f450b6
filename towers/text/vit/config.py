"""SigLIP's `config.json`: from its fields to options, and back.

Promises: SigLIP and SigLIP 2, the text side alone or beside the image side, whose fields are not read. A field that is
not known is refused by name, since it may change what the network computes, and so is a known one that asks for another
network; fields of training and of the file are ignored.

Source: transformers, models/{siglip,siglip2}/configuration_*.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.fields import UNCHANGING, Fields
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
_IGNORED = rf"{UNCHANGING}|projection_size|initializer_.*"


def options_of_config(config: Mapping[str, Any], where: str) -> ViTTextOptions:
    """Returns the options of the text side that a `config.json` describes.

    Args:
      config: its content.
      where: its place, for messages.

    Raises:
      OptionsError: a field that is not known, of another type, or of a value that no text ViT has.
    """
    fields = Fields(config, where)
    if config.get("model_type") in ("siglip", "siglip2"):
        fields = fields.part("text_config")
    values: dict[str, Any] = {ours: fields.number(theirs, default) for ours, (theirs, default) in _SIZES.items()}
    for name, value in _REQUIRED.items():
        fields.require(name, value)
    fields.ignore(_IGNORED)
    fields.close()
    with fields.named_errors():
        return ViTTextOptions(**values)


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
