"""The image sides of CLIP and SigLIP of a `config.json`.

Source: transformers, models/{clip,siglip}/configuration_*.py.
"""

from __future__ import annotations

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.image import vit
from lit_precompute.towers.image.hugging_face.network import Network, close_side, transformer_sizes
from lit_precompute.towers.image.vit.config import ViTConfig


def read_clip(fields: Fields, resolution: int) -> Network:
    """A two-tower model, whose image side has a projection."""
    fields.ignore(r"text_config(_dict)?|logit_scale_init_value")
    projection_width = fields.number("projection_dim", 512)
    # Where files of older versions have it, transformers takes it, with its defaults, in place of the other.
    is_older = "vision_config_dict" in fields
    side = fields.part("vision_config_dict" if is_older else "vision_config")
    fields.ignore("vision_config")
    return _clip_side(side, resolution, projection_width)


def read_clip_vision(fields: Fields, resolution: int) -> Network:
    architectures = fields.take("architectures", [])
    has_projection = architectures == ["CLIPVisionModelWithProjection"]
    return _clip_side(fields, resolution, fields.number("projection_dim", 512) if has_projection else 0)


def _clip_side(fields: Fields, resolution: int, projection_width: int) -> Network:
    sizes = transformer_sizes(
        fields,
        activation="quick_gelu",
        norm_epsilon=fields.real("layer_norm_eps", 1e-5),
        pre_norm=True,
        patch_bias=False,
        pooling="projection" if projection_width else "class_token",
        projection_width=projection_width,
    )
    sizes |= {"mlp_width": fields.number("intermediate_size", 3072), "patch_size": fields.number("patch_size", 32)}
    close_side(fields)
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def read_siglip(fields: Fields, resolution: int) -> Network:
    fields.ignore("text_config")
    return read_siglip_vision(fields.part("vision_config"), resolution)


def read_siglip_vision(fields: Fields, resolution: int) -> Network:
    fields.require("vision_use_head", True)
    sizes = transformer_sizes(
        fields,
        activation="gelu_pytorch_tanh",
        norm_epsilon=fields.real("layer_norm_eps", 1e-6),
        pooling="map",
        class_token=False,
    )
    sizes |= {"mlp_width": fields.number("intermediate_size", 3072), "patch_size": fields.number("patch_size", 16)}
    close_side(fields)
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))
