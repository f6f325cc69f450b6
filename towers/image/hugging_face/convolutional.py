"""ConvNeXt and BiT of a `config.json`.

Source: transformers, models/{convnext,convnextv2,bit}/configuration_*.py.
"""

from __future__ import annotations

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.image import bit, convnext
from lit_precompute.towers.image.bit.config import NUM_GROUPS, BiTConfig
from lit_precompute.towers.image.convnext.config import STEM_SIZE, ConvNeXtConfig
from lit_precompute.towers.image.hugging_face.network import Network


def read_convnext(fields: Fields, resolution: int, *, second: bool = False) -> Network:
    fields.require("hidden_act", "gelu")
    fields.require("patch_size", STEM_SIZE)
    widths = fields.numbers("hidden_sizes", (96, 192, 384, 768))
    fields.require("num_stages", len(widths))
    config = ConvNeXtConfig(
        resolution=resolution,
        widths=widths,
        depths=fields.numbers("depths", (3, 3, 9, 3)),
        layer_scale=not second and fields.real("layer_scale_init_value", 1e-6) > 0,
        response_norm=second,
        last_epsilon=fields.real("layer_norm_eps", 1e-12),
    )
    return Network(family=convnext.FAMILY, config=config)


def read_convnext_v2(fields: Fields, resolution: int) -> Network:
    return read_convnext(fields, resolution, second=True)


def read_bit(fields: Fields, resolution: int) -> Network:
    fields.require("layer_type", "preactivation")
    fields.require("hidden_act", "relu")
    fields.require("num_groups", NUM_GROUPS)
    fields.require("embedding_dynamic_padding", False)
    fields.require("output_stride", 32)
    fields.require("width_factor", 1)
    fields.require("global_padding")
    width, depths = fields.number("embedding_size", 64), fields.numbers("depths", (3, 4, 6, 3))
    expected = [4 * width << block for block in range(len(depths))]
    fields.require("hidden_sizes", expected)
    # Transformers adds 1e-8 to a kernel's variance.
    config = BiTConfig(resolution=resolution, depths=depths, width=width, weight_epsilon=1e-8)
    return Network(family=bit.FAMILY, config=config)
