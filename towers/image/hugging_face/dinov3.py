"""DINOv3's Vision Transformers and ConvNeXts of a `config.json`.

Source: transformers, models/{dinov3_vit,dinov3_convnext}/configuration_*.py.
"""

from __future__ import annotations

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.image import convnext, dinov3
from lit_precompute.towers.image.convnext.config import ConvNeXtConfig
from lit_precompute.towers.image.convnext.network import EPSILON
from lit_precompute.towers.image.dinov3.config import DINOv3Config
from lit_precompute.towers.image.hugging_face.network import Network


def read_dinov3_vit(fields: Fields, resolution: int) -> Network:
    fields.require("proj_bias", True)
    fields.require("mlp_bias", True)
    fields.ignore("pos_embed_(shift|jitter|rescale)")  # of training
    gated = fields.flag("use_gated_mlp", default=False)
    expected, activation = "silu" if gated else "gelu", fields.take("hidden_act", "gelu")
    if activation != expected:
        kind = "with" if gated else "without"
        raise fields.error("hidden_act", f"{expected!r} in an MLP {kind} a gate (use_gated_mlp)", activation)
    config = DINOv3Config(
        resolution=resolution,
        patch_size=fields.number("patch_size", 16),
        width=fields.number("hidden_size", 384),
        depth=fields.number("num_hidden_layers", 12),
        mlp_width=fields.number("intermediate_size", 1536),
        num_heads=fields.number("num_attention_heads", 6),
        num_registers=fields.number("num_register_tokens", 0, least=0),
        gated_mlp=gated,
        query_bias=fields.flag("query_bias", default=True),
        key_bias=fields.flag("key_bias", default=False),
        value_bias=fields.flag("value_bias", default=True),
        rope_base=fields.real("rope_theta", 100.0),
        norm_epsilon=fields.real("layer_norm_eps", 1e-5),
    )
    return Network(family=dinov3.FAMILY, config=config)


def read_dinov3_convnext(fields: Fields, resolution: int) -> Network:
    fields.require("hidden_act", "gelu")
    fields.require("layer_norm_eps", EPSILON)
    fields.ignore("layer_scale_init_value")
    config = ConvNeXtConfig(
        resolution=resolution,
        widths=fields.numbers("hidden_sizes", (96, 192, 384, 768)),
        depths=fields.numbers("depths", (3, 3, 9, 3)),
    )
    return Network(family=convnext.FAMILY, config=config)
