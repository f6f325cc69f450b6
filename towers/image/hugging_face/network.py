"""What a `config.json` is read into, and the fields that the readers of several families share."""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.family import Family, TowerConfig
from lit_precompute.towers.fields import UNCHANGING, Fields

ACTIVATIONS = {
    **dict.fromkeys(("gelu", "gelu_python"), "exact"),
    **dict.fromkeys(("gelu_pytorch_tanh", "gelu_new", "gelu_fast"), "tanh"),
    "quick_gelu": "quick",
}
# Of image models, what changes no embedding.
IGNORED = (
    rf"{UNCHANGING}|drop_path_rate|layerscale_value|encoder_stride|out_(features|indices)|stage_names|apply_layernorm"
    r"|reshape_hidden_states|use_mask_token|image_size|conv_layer|embedding_dynamic_padding_value"
    r"|interpolate_(antialias|offset)|semantic_loss_ignore_index"
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
