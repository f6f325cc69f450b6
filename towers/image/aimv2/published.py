"""The AIMv2 models that have names: Apple's collection on Hugging Face.

Source: arXiv:2411.14402, the README of github.com/apple/ml-aim (accuracies) and the models' config.json and
preprocessor_config.json (2026-11).
"""

from __future__ import annotations

from typing import Any

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.aimv2 import FAMILY
from lit_precompute.towers.image.aimv2.config import AIMv2Config
from lit_precompute.towers.image.vit.published import ZERO_SHOT, cropped
from lit_precompute.towers.preprocessing import CLIP_RANGE

# size: (width, width of the MLP, heads, accuracy at 224, 336 and 448 pixels); all have 24 blocks
_SIZES: dict[str, tuple[int, int, int, tuple[float, float, float]]] = {
    "large": (1024, 2816, 8, (86.6, 87.6, 87.9)),
    "huge": (1536, 4096, 12, (87.5, 88.2, 88.6)),
    "1B": (2048, 5632, 16, (88.1, 88.7, 89.0)),
    "3B": (3072, 8192, 24, (88.5, 89.2, 89.5)),
}
_RESOLUTIONS = (224, 336, 448)
_PROBE = "% ImageNet, attentive probe"


def variant(size: str, resolution: int, **fields: Any) -> AIMv2Config:
    """Returns the configuration of a size at a resolution; other fields as `AIMv2Config` has them."""
    width, mlp_width, num_heads, _ = _SIZES[size]
    sizes: dict[str, Any] = {"width": width, "mlp_width": mlp_width, "num_heads": num_heads}
    return AIMv2Config(resolution=resolution, patch_size=14, depth=24, **{**sizes, **fields})


def _entry(name: str, config: AIMv2Config, accuracy: str = "") -> Entry:
    side = config.resolution
    return Entry(
        family=FAMILY,
        config=config,
        preprocessing=cropped(side, side, CLIP_RANGE),
        # The folder: the largest may be in one file or in several.
        weights=f"hf://{name}",
        accuracy=accuracy,
    )


def _entries() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for size, (*_, accuracies) in _SIZES.items():
        for side, accuracy in zip(_RESOLUTIONS, accuracies, strict=True):
            name = f"apple/aimv2-{size}-patch14-{side}"
            entries[name] = _entry(name, variant(size, side), f"{accuracy}{_PROBE}")
    for side in (224, 336):
        name = f"apple/aimv2-large-patch14-{side}-distilled"
        entries[name] = _entry(name, variant("large", side))
    # Its processor resizes nothing, and the network takes 112 to 4,096 patches; 224 is what its config.json says.
    name = "apple/aimv2-large-patch14-native"
    entries[name] = _entry(name, variant("large", 224, positions="sine"), f"87.3{_PROBE}, images of any size")
    name = "apple/aimv2-large-patch14-224-lit"
    config = variant("large", 224, pooling="projection", head=True, projection_width=768)
    entries[name] = _entry(name, config, f"77.0{ZERO_SHOT} with its text tower")
    return entries


def _aliases() -> dict[str, str]:
    """Returns timm's names, of the same weights with the same preprocessing."""
    aliases: dict[str, str] = {}
    for name in ENTRIES:
        size, _, side, *tag = name.removeprefix("apple/aimv2-").split("-")
        if tag not in ([], ["distilled"]) or side == "native":
            continue
        timms = f"aimv2_{size.lower()}_patch14_{side}.apple_pt{'_dist' if tag else ''}"
        aliases |= {timms: name, f"timm/{timms}": name}
    return aliases


ENTRIES = _entries()
ALIASES = _aliases()
