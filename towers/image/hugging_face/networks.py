"""Which family and configuration a `config.json` of Hugging Face describes.

Source: transformers, models/{vit,dinov2,dinov2_with_registers,clip,siglip,convnext,convnextv2,bit}/configuration_*.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from lit_precompute.towers.family import Family, TowerConfig
from lit_precompute.towers.image import bit, convnext, vit
from lit_precompute.towers.image.bit.config import NUM_GROUPS, BiTConfig
from lit_precompute.towers.image.convnext.config import STEM_SIZE, ConvNeXtConfig
from lit_precompute.towers.image.hugging_face.fields import Fields
from lit_precompute.towers.image.vit.config import ViTConfig

_ACTIVATIONS = {"gelu": "exact", "gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "quick_gelu": "quick"}
# What changes no embedding: about training, tasks and the file itself.
_IGNORED = (
    r"_.*|architectures|model_type|transformers_version|(torch_)?dtype|auto_map|attn_implementation|name_or_path"
    r"|.*dropout(_prob|_rate)?|drop_path_rate|initializer_(range|factor)|gradient_checkpointing|layerscale_value"
    r"|id2label|label2id|num_labels|problem_type|finetuning_task|encoder_stride|out_(features|indices)|stage_names"
    r"|apply_layernorm|reshape_hidden_states|use_mask_token|image_size|torchscript|return_dict|use_return_dict"
    r"|output_(attentions|hidden_states)|use_bfloat16|chunk_size_feed_forward|is_decoder|is_encoder_decoder"
    r"|pruned_heads|cross_attention_hidden_size|add_cross_attention|tie_(word_embeddings|encoder_decoder)"
    r"|.*_token_id|(max|min)_length|do_sample|early_stopping|num_(beams|beam_groups|return_sequences)|temperature"
    r"|top_[kp]|typical_p|diversity_penalty|(repetition|length)_penalty|(encoder_)?no_repeat_ngram_size|bad_words_ids"
    r"|remove_invalid_values|exponential_decay_length_penalty|suppress_tokens|begin_suppress_tokens|forced_.*"
    r"|output_scores|return_dict_in_generate|task_specific_params|tokenizer_class|prefix|tf_legacy_loss"
    r"|conv_layer|embedding_dynamic_padding_value|interpolate_(antialias|offset)|semantic_loss_ignore_index"
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


def network_of(content: Mapping[str, Any], where: str, *, resolution: int) -> Network:
    """Returns the network that the content of a `config.json` describes.

    Args:
      content: the JSON object.
      where: names it in errors.
      resolution: side of the images, as `preprocessor_config.json` gives them.

    Raises:
      OptionsError: no known family, an unknown field, a value that the family's networks do not have, or fields that do
        not go together.
    """
    fields = Fields(content, where)
    read = fields.choice("model_type", _READERS, None)
    fields.require("num_channels", 3)
    with fields.named_errors():
        network = read(fields, resolution)
    fields.ignore(_IGNORED)
    fields.close()
    return network


def _transformer(fields: Fields, **given: Any) -> dict[str, Any]:
    """Takes what all Vision Transformers have."""
    activation = given.pop("activation", "gelu")
    return {
        "width": fields.number("hidden_size", 768),
        "depth": fields.number("num_hidden_layers", 12),
        "num_heads": fields.number("num_attention_heads", 12),
        "activation": fields.choice("hidden_act", _ACTIVATIONS, activation),
        "position_resize": "bicubic",
        **given,
    }


def _vit(fields: Fields, resolution: int) -> Network:
    fields.require("qkv_bias", True)
    fields.ignore("pooler_(act|output_size)")
    sizes = _transformer(fields, norm_epsilon=fields.real("layer_norm_eps", 1e-12))
    sizes |= {"mlp_width": fields.number("intermediate_size", 3072), "patch_size": fields.number("patch_size", 16)}
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def _dinov2(fields: Fields, resolution: int) -> Network:
    fields.require("qkv_bias", True)
    sizes = _transformer(fields, norm_epsilon=fields.real("layer_norm_eps", 1e-6), layer_scale=True)
    sizes["patch_size"] = fields.number("patch_size", 14)
    hidden = int(sizes["width"] * fields.number("mlp_ratio", 4))
    if fields.flag("use_swiglu_ffn", default=False):
        # Two thirds, rounded up to a multiple of 8, since the gate adds a third matrix.
        sizes |= {"activation": "swiglu", "mlp_width": (hidden * 2 // 3 + 7) // 8 * 8}
    else:
        sizes["mlp_width"] = hidden
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def _dinov2_with_registers(fields: Fields, resolution: int) -> Network:
    num_registers = fields.number("num_register_tokens", 4)
    network = _dinov2(fields, resolution)
    config = dataclasses.replace(network.config, num_registers=num_registers, position_resize="bicubic_antialias")
    return dataclasses.replace(network, config=config)


def _clip(fields: Fields, resolution: int) -> Network:
    """A two-tower model, whose image side has a projection."""
    fields.ignore(r"text_config(_dict)?|vision_config_dict|logit_scale_init_value")
    projection_width = fields.number("projection_dim", 512)
    return _clip_side(fields.part("vision_config"), resolution, projection_width)


def _clip_vision(fields: Fields, resolution: int) -> Network:
    architectures = fields.take("architectures", [])
    has_projection = architectures == ["CLIPVisionModelWithProjection"]
    return _clip_side(fields, resolution, fields.number("projection_dim", 512) if has_projection else 0)


def _clip_side(fields: Fields, resolution: int, projection_width: int) -> Network:
    sizes = _transformer(
        fields,
        activation="quick_gelu",
        norm_epsilon=fields.real("layer_norm_eps", 1e-5),
        pre_norm=True,
        patch_bias=False,
        pooling="projection" if projection_width else "class_token",
        projection_width=projection_width,
    )
    sizes |= {"mlp_width": fields.number("intermediate_size", 3072), "patch_size": fields.number("patch_size", 32)}
    _close_side(fields)
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def _siglip(fields: Fields, resolution: int) -> Network:
    fields.ignore("text_config")
    return _siglip_side(fields.part("vision_config"), resolution)


def _siglip_side(fields: Fields, resolution: int) -> Network:
    fields.require("vision_use_head", True)
    sizes = _transformer(
        fields,
        activation="gelu_pytorch_tanh",
        norm_epsilon=fields.real("layer_norm_eps", 1e-6),
        pooling="map",
        class_token=False,
    )
    sizes |= {"mlp_width": fields.number("intermediate_size", 3072), "patch_size": fields.number("patch_size", 16)}
    _close_side(fields)
    return Network(family=vit.FAMILY, config=ViTConfig(resolution=resolution, **sizes))


def _close_side(fields: Fields) -> None:
    """Refuses what is left of one side; a model's own projection width says nothing here."""
    fields.require("num_channels", 3)
    fields.ignore(f"projection_dim|{_IGNORED}")
    fields.close()


def _convnext(fields: Fields, resolution: int, *, second: bool = False) -> Network:
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


def _convnext_v2(fields: Fields, resolution: int) -> Network:
    return _convnext(fields, resolution, second=True)


def _bit(fields: Fields, resolution: int) -> Network:
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


_READERS: Mapping[str, Callable[[Fields, int], Network]] = {
    "vit": _vit,
    "dinov2": _dinov2,
    "dinov2_with_registers": _dinov2_with_registers,
    "clip": _clip,
    "clip_vision_model": _clip_vision,
    "siglip": _siglip,
    "siglip_vision_model": _siglip_side,
    "convnext": _convnext,
    "convnextv2": _convnext_v2,
    "bit": _bit,
}
