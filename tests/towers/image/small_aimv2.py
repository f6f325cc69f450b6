"""Small AIMv2 models: the published ones at the sizes of the oracle's files."""

import dataclasses

from lit_precompute.towers.registry import find_tower, register, tower_names

# The published tower that each file is a small one of.
PUBLISHED = {
    "aimv2": "apple/aimv2-large-patch14-224",
    "aimv2-98": "apple/aimv2-large-patch14-336",
    "aimv2-head": "apple/aimv2-large-patch14-224-lit",
    "aimv2-native": "apple/aimv2-large-patch14-native",
    "aimv2-lit": "apple/aimv2-large-patch14-224-lit",
}
SMALL = {"width": 96, "depth": 3, "num_heads": 3, "mlp_width": 256}


def small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        entry = find_tower(PUBLISHED[file])
        fields = dict(SMALL) | ({"projection_width": 48} if entry.config.projection_width else {})
        register(name, dataclasses.replace(entry, config=dataclasses.replace(entry.config, **fields)))
    return name
