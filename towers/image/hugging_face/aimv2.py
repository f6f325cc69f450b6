"""AIMv2 of a `config.json`: transformers' and, with the same fields and fewer, that of the code beside the first files.

Source: transformers, models/aimv2/configuration_aimv2.py; `configuration_aimv2.py` of apple/aimv2-large-patch14-224,
-native and -224-lit.
"""

from __future__ import annotations

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.image import aimv2
from lit_precompute.towers.image.aimv2.config import AIMv2Config
from lit_precompute.towers.image.hugging_face.network import Network, close_side


def read_aimv2(fields: Fields, resolution: int) -> Network:
    """A two-tower model, whose image side has a head and a projection; or a model of the first files."""
    if "vision_config" not in fields:
        # There, only models with learned positions have a size, and none has a head.
        is_native = "image_size" not in fields
        return _read_side(fields, resolution, is_native=is_native, has_head=False)
    fields.ignore(r"text_config|logit_scale_init_value|max_logit_scale|init_temperature")
    projection_width = fields.number("projection_dim", 512)
    side = fields.part("vision_config")
    side.require("use_head", True)
    return _read_side(side, resolution, is_native=False, has_head=True, projection_width=projection_width)


def read_aimv2_vision(fields: Fields, resolution: int) -> Network:
    return _read_side(fields, resolution, is_native=False, has_head=True)


def _read_side(
    fields: Fields, resolution: int, *, is_native: bool, has_head: bool, projection_width: int = 0
) -> Network:
    """Reads an image side; `is_native` and `has_head` hold where the file does not say."""
    fields.require("hidden_act", "silu")
    for name in ("qkv_bias", "mlp_bias", "use_bias"):
        fields.require(name, False)
    head = fields.flag("use_head", default=has_head)
    if head:
        fields.require("num_queries", 1)
    fields.ignore("num_queries")
    pooling = "average" if not head else "projection" if projection_width else "map"
    config = AIMv2Config(
        resolution=resolution,
        width=fields.number("hidden_size", 1024),
        depth=fields.number("num_hidden_layers", 24),
        mlp_width=fields.number("intermediate_size", 2816),
        num_heads=fields.number("num_attention_heads", 8),
        patch_size=fields.number("patch_size", 14),
        norm_epsilon=fields.real("rms_norm_eps", 1e-5),
        positions="sine" if fields.flag("is_native", default=is_native) else "learned",
        head=head,
        projection_width=projection_width,
        pooling=pooling,
    )
    close_side(fields)
    return Network(family=aimv2.FAMILY, config=config)
