"""Which family and configuration a `config.json` of Hugging Face describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.image.hugging_face import aimv2, convolutional, dinov3, two_towers, vision_transformers
from lit_precompute.towers.image.hugging_face.network import IGNORED, Network

_READERS: Mapping[str, Callable[[Fields, int], Network]] = {
    "vit": vision_transformers.read_vit,
    "dinov2": vision_transformers.read_dinov2,
    "dinov2_with_registers": vision_transformers.read_dinov2_with_registers,
    "dinov3_vit": dinov3.read_dinov3_vit,
    "dinov3_convnext": dinov3.read_dinov3_convnext,
    "clip": two_towers.read_clip,
    "clip_vision_model": two_towers.read_clip_vision,
    "siglip": two_towers.read_siglip,
    "siglip_vision_model": two_towers.read_siglip_vision,
    "convnext": convolutional.read_convnext,
    "convnextv2": convolutional.read_convnext_v2,
    "bit": convolutional.read_bit,
    "aimv2": aimv2.read_aimv2,
    "aimv2_vision_model": aimv2.read_aimv2_vision,
}


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
    fields.ignore(IGNORED)
    fields.close()
    return network
