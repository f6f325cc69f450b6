"""A timm folder: `config.json` names an architecture, and `pretrained_cfg` says how images are prepared.

Promises: the network is that of the registered towers of this architecture, whatever the tag; what changes the network
(`model_args`, `global_pool`) and is not known here is refused by name.

Source: timm 1.0.31, timm/models/_hub.py (save_config_for_hf, _parse_model_cfg), data/config.py and
data/transforms_factory.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lit_precompute.towers.family import Entry, TowerConfig
from lit_precompute.towers.fields import Fields
from lit_precompute.towers.preprocessing import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Method,
    Preprocessing,
    Scale,
    Standardise,
    ValueRange,
)

# From the name of an architecture to the entries of its tags.
FindEntries = Callable[[str], Sequence[Entry]]

_IGNORED = r"num_features|label_(names|descriptions)|labels"
_IGNORED_ARGUMENTS = r"(\w+_)?drop(_path)?_rate"
_IGNORED_OF_PRETRAINED = (
    r"tag|architecture|url|file|hf_hub_\w+|source|license(_link)?|paper_\w+|origin_url|notes|num_classes|label_\w+"
    r"|first_conv|classifier|custom_load|(min|test)_input_size|(test_)?pool_size|test_crop_pct"
)
_METHODS: Mapping[str, Method] = {"bilinear": "bilinear", "bicubic": "bicubic"}
_CROP_MODES = {"center": "short_side", "squash": "square"}
_CROP_SHARE = 0.875
_HALF = (0.5, 0.5, 0.5)
# timm's name of how a network pools, by ours.
_POOLS = {"class_token": "token", "map": "map", "average": "avg", "average_unnormed": "avg"}


def is_timms(content: Mapping[str, Any]) -> bool:
    """Returns whether a `config.json` is timm's own."""
    return "architecture" in content and "model_type" not in content


def entry_of(content: Mapping[str, Any], where: str, place: str, find_entries: FindEntries) -> Entry:
    """Returns the entry of the tower that the content of timm's `config.json` describes.

    Args:
      content: the JSON object.
      where: names it in errors.
      place: the folder, which has the weights.
      find_entries: see `FindEntries`.

    Raises:
      OptionsError: no tower of this architecture is registered, an unknown field, or a value that is not known here.
    """
    top = Fields(content, where)
    # Older files have all in one object.
    pretrained = top.part("pretrained_cfg") if "pretrained_cfg" in top else top
    architecture = top.take("architecture", None)
    entries = find_entries(architecture) if isinstance(architecture, str) else ()
    if not entries:
        raise top.error("architecture", "that of a tower `lit-embed towers 'timm/*'` lists", architecture)
    entry = _usual(entries)

    arguments = top.part("model_args")
    side = _side(pretrained, arguments)
    config = _config(top, arguments, entry, resolution=side)
    with pretrained.named_errors():
        preprocessing = _preprocessing(pretrained, side)
    pretrained.ignore(_IGNORED_OF_PRETRAINED)
    top.ignore(_IGNORED)
    for fields in (pretrained, top):
        fields.close()
    return Entry(family=entry.family, config=config, preprocessing=preprocessing, weights=place)


def _usual(entries: Sequence[Entry]) -> Entry:
    """Returns the one whose pooling is the family's first: a self-supervised file may lack what others pool by."""
    return next((entry for entry in entries if entry.config.pooling == entry.family.poolings[0]), entries[0])


def _side(pretrained: Fields, arguments: Fields) -> int:
    """Returns the side of the images: `img_size` is what a network was made for, where it takes no other."""
    size = pretrained.take("input_size", [3, 224, 224])
    if not isinstance(size, list) or len(size) != 3 or size[0] != 3 or size[1] != size[2] or type(size[1]) is not int:
        raise pretrained.error("input_size", "[3, side, side]", size)
    is_fixed = pretrained.flag("fixed_input_size", default=False)
    is_strict = arguments.flag("strict_img_size", default=True) and not arguments.flag(
        "dynamic_img_size", default=False
    )
    made_for = arguments.take("img_size", None)
    if made_for is None or not (is_fixed and is_strict):
        return size[1]
    sides = made_for if isinstance(made_for, list) else [made_for]
    if not sides or any(type(side) is not int or side < 1 or side != sides[0] for side in sides):
        raise arguments.error("img_size", "the side of a square", made_for)
    return sides[0]


def _config(top: Fields, arguments: Fields, entry: Entry, *, resolution: int) -> TowerConfig:
    config: Any = entry.config
    num_outputs = arguments.take("num_classes", top.take("num_classes", None))
    if config.pooling == "projection" and num_outputs not in (None, config.projection_width):
        # A classifier is in the projection's place.
        config = dataclasses.replace(config, pooling=config.projects, projection_width=0)
    pooled = config.projects if config.pooling == "projection" else config.pooling
    # Another one moves the last norm, too.
    top.require("global_pool", _POOLS[pooled])
    arguments.require("global_pool", _POOLS[pooled])
    arguments.require("in_chans", 3)
    arguments.require("dynamic_img_pad", False)
    arguments.ignore(_IGNORED_ARGUMENTS)
    arguments.close()
    with top.named_errors():
        return dataclasses.replace(config, resolution=resolution)


def _preprocessing(fields: Fields, side: int) -> Preprocessing:
    method = fields.choice("interpolation", _METHODS, "bicubic")
    resize = fields.choice("crop_mode", _CROP_MODES, "center")
    share = fields.real("crop_pct", _CROP_SHARE) or _CROP_SHARE
    if share > 1:
        raise fields.error("crop_pct", "a share of at most 1", share)
    resized = math.floor(side / share)
    return Preprocessing(
        size=side,
        resize=resize,  # pyright: ignore[reportArgumentType]
        resize_size=resized,
        method=method,
        antialias=True,
        resampler="pillow",
        crop="none" if resize == "square" and resized == side else "central_rounded",
        value_range=_values(fields),
        jpeg="accurate",
    )


def _values(fields: Fields) -> ValueRange:
    mean, deviation = fields.reals("mean", IMAGENET_MEAN), fields.reals("std", IMAGENET_DEVIATION)
    if mean == deviation == _HALF:
        return Scale()  # -1..1, under the one name that registered towers have it by
    if (mean, deviation) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
        return Scale(low=0.0, high=1.0)
    return Standardise.of_unit_range(mean, deviation)
