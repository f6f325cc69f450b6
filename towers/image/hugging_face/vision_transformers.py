"""ViT, DINO and DINOv2 of a `config.json`.

Source: transformers, models/{vit,dinov2,dinov2_with_registers}/configuration_*.py.
"""

from __future__ import annotations

import dataclasses

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.image import vit
from lit_precompute.towers.image.hugging_face.network import Network, transformer_sizes
from lit_precompute.towers.image.vit.config import ViTConfig


def read_vit(fields: Fields, resolution: int) -> Network:
    fields.require("qkv_bias", True)
    fields.ignore("pooler_(act|output_size)")
    sizes = transformer_sizes(fields, norm_epsilon=fields.real("layer_norm_eps", 1e-12))
    sizes |= {"mlp_width": fields.number("intermediate_size", 3072), "patch_size": fields.number("patch_size", 16)}
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def read_dinov2(fields: Fields, resolution: int) -> Network:
    fields.require("qkv_bias", True)
    sizes = transformer_sizes(fields, norm_epsilon=fields.real("layer_norm_eps", 1e-6), layer_scale=True)
    sizes["patch_size"] = fields.number("patch_size", 14)
    hidden = int(sizes["width"] * fields.number("mlp_ratio", 4))
    if fields.flag("use_swiglu_ffn", default=False):
        # Two thirds, rounded up to a multiple of 8, since the gate adds a third matrix.
        sizes |= {"activation": "swiglu", "mlp_width": (hidden * 2 // 3 + 7) // 8 * 8}
    else:
        sizes["mlp_width"] = hidden
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def read_dinov2_with_registers(fields: Fields, resolution: int) -> Network:
    num_registers = fields.number("num_register_tokens", 4)
    network = read_dinov2(fields, resolution)
    config = dataclasses.replace(network.config, num_registers=num_registers, position_resize="bicubic_antialias")
    return dataclasses.replace(network, config=config)
