"""How a `preprocessor_config.json` prepares images, as a `Preprocessing`.

Promises: the same bytes as the processor that resizes with Pillow, which the models were published with. DINOv3's never
had one: it resizes floats with torchvision, and so does this library. A processor of another type, and a step that this
library does not carry out, are refused by name.

A name that ends in Fast is treated as one that does not: it says which library its writer had installed, not which one
the model was trained with.

Source: transformers, models/{vit,deit,clip,siglip,bit,convnext,dinov3_vit}/image_processing_*.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.fields import Fields
from lit_precompute.towers.preprocessing import (
    CLIP_DEVIATION,
    CLIP_MEAN,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Method,
    Preprocessing,
    Resampler,
    Scale,
    Standardise,
    ValueRange,
)

Three = tuple[float, float, float]
_HALF: Three = (0.5, 0.5, 0.5)
# Pillow's numbers.
_BILINEAR, _BICUBIC = 2, 3
_METHODS: Mapping[int, Method] = {_BILINEAR: "bilinear", _BICUBIC: "bicubic"}
_IGNORED = (
    r"_.*|(image_processor|feature_extractor)_type|processor_class|auto_map|do_convert_rgb|return_tensors|data_format"
    r"|input_data_format|device|disable_grouping|image_seq_length|input_size|return_row_col_info"
)
_RESCALE = 1 / 255
# Below it, ConvNeXt's processor crops.
_CONVNEXT_CROPS_BELOW = 384


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Defaults:
    """What a processor does where its file is silent."""

    size: int
    is_square: bool
    number_is_square: bool = True
    resample: int
    crops: bool = False
    mean: Three = _HALF
    deviation: Three = _HALF
    resampler: Resampler = "pillow"


_CLIP = _Defaults(
    size=224,
    is_square=False,
    number_is_square=False,
    resample=_BICUBIC,
    crops=True,
    mean=CLIP_MEAN,
    deviation=CLIP_DEVIATION,
)
_PROCESSORS: Mapping[str, _Defaults] = {
    "ViT": _Defaults(size=224, is_square=True, resample=_BILINEAR),
    "DeiT": _Defaults(size=256, is_square=True, resample=_BICUBIC, crops=True),
    "CLIP": _CLIP,
    "Siglip": _Defaults(size=224, is_square=True, number_is_square=False, resample=_BICUBIC),
    "Bit": _CLIP,
    "ConvNext": _Defaults(size=384, is_square=False, number_is_square=False, resample=_BICUBIC),
    "DINOv3ViT": _Defaults(
        size=224,
        is_square=True,
        resample=_BILINEAR,
        mean=IMAGENET_MEAN,
        deviation=IMAGENET_DEVIATION,
        resampler="torch",
    ),
}
_TYPES: Mapping[str, str] = {
    f"{name}{words}": name
    for name in _PROCESSORS
    for words in ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor")
}


def preprocessing_of(content: Mapping[str, Any], where: str) -> Preprocessing:
    """Returns the preprocessing that the content of a `preprocessor_config.json` describes.

    Args:
      content: the JSON object.
      where: names it in errors.

    Raises:
      OptionsError: another type of processor, an unknown field, a step that is not carried out here, or steps that do
        not go together.
    """
    fields = Fields(content, where)
    is_older = "feature_extractor_type" in fields and "image_processor_type" not in fields
    written = "feature_extractor_type" if is_older else "image_processor_type"
    name = fields.choice(written, _TYPES, None)
    defaults = _PROCESSORS[name]
    for step in ("do_resize", "do_rescale"):
        fields.require(step, True)
    for step in ("do_pad", "do_thumbnail", "do_align_long_axis", "do_reduce_labels"):
        fields.require(step, False)
    if not math.isclose(factor := fields.real("rescale_factor", _RESCALE), _RESCALE, rel_tol=1e-6):
        raise fields.error("rescale_factor", f"1/255, which is {_RESCALE}", factor)
    method = fields.choice("resample", _METHODS, defaults.resample)
    geometry = _convnext_geometry(fields) if name == "ConvNext" else _geometry(fields, defaults)
    with fields.named_errors():
        values = _values(fields, defaults)
    fields.ignore(_IGNORED)
    fields.close()
    with fields.named_errors():
        return Preprocessing(
            **geometry,
            method=method,
            antialias=True,
            resampler=defaults.resampler,
            value_range=values,
            jpeg="accurate",
        )


def _geometry(fields: Fields, defaults: _Defaults) -> dict[str, Any]:
    """Returns what is resized to which size, and cropped."""
    is_square, resized = _size(fields, defaults)
    if not fields.flag("do_center_crop", default=defaults.crops):
        fields.take("crop_size", None)
        if not is_square:
            raise fields.error("do_center_crop", "true where only the short side has a size", False)
        return {"size": resized, "resize": "square"}
    crop = _side(fields, "crop_size", fields.take("crop_size", 224))
    return {"size": crop, "resize": "square" if is_square else "short_side", "resize_size": resized, "crop": "central"}


def _size(fields: Fields, defaults: _Defaults) -> tuple[bool, int]:
    """Returns whether images are squeezed to a square, and the side's length."""
    size = fields.take("size", None)
    number_is_square = fields.flag("default_to_square", default=defaults.number_is_square)
    if size is None:
        return defaults.is_square, defaults.size
    if isinstance(size, dict) and {*size} == {"shortest_edge"}:
        return False, _side(fields, "size", size["shortest_edge"])
    # Files of older versions have a number: of the processor's own kind, unless they say which.
    return isinstance(size, dict) or number_is_square, _side(fields, "size", size)


def _side(fields: Fields, name: str, size: Any) -> int:
    """Returns the side of a square."""
    side = size
    if isinstance(size, dict):
        side = size["height"] if {*size} == {"height", "width"} and size["height"] == size["width"] else None
    if type(side) is not int or side < 1:
        raise fields.error(name, "the side of a square", size)
    return side


def _convnext_geometry(fields: Fields) -> dict[str, Any]:
    """As ConvNeXt's processor has it: small images are cropped, large ones squeezed."""
    _, size = _size(fields, _PROCESSORS["ConvNext"])
    fields.require("do_center_crop", False)  # another crop, after its own
    fields.take("crop_size", None)
    share = fields.real("crop_pct", 224 / 256)
    if not 0 < share <= 1:
        raise fields.error("crop_pct", "a share above 0 and at most 1", share)
    if size >= _CONVNEXT_CROPS_BELOW:
        return {"size": size, "resize": "square"}
    return {"size": size, "resize": "short_side", "resize_size": int(size / share), "crop": "central"}


def _values(fields: Fields, defaults: _Defaults) -> ValueRange:
    normalises = fields.flag("do_normalize", default=True)
    mean = fields.reals("image_mean", defaults.mean)
    deviation = fields.reals("image_std", defaults.deviation)
    if not normalises:
        return Scale(low=0.0, high=1.0)
    if mean == deviation == _HALF:
        return Scale()  # -1..1, under the one name that registered towers have it by
    return Standardise.of_unit_range(mean, deviation)
