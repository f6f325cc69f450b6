"""Made fingerprints.json beside it, on 2026-11-28, and the new towers' on 2026-11-29.

Never anew: a fingerprint that changes orphans datasets. Only those of new towers are added:

    python -m tests.golden.fingerprints.make > new.json

`registered` holds the fingerprint of every tower with a name, at its published resolution and pooling, with a hash of
weights made of zeros. `loaded` holds a small tower of each family, read from a file under one of the family's namings.
"""

import dataclasses
import json
import math
import pathlib
import sys
import tempfile
import zlib

import numpy as np

from lit_precompute.towers.family import Entry
from lit_precompute.towers.fingerprint import fingerprint
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.registry import find_tower, register, tower_names
from lit_precompute.towers.weights.naming import write_names

PATH = pathlib.Path(__file__).with_name("fingerprints.json")
NO_WEIGHTS = "0" * 64
# A registered tower of each family, and the sizes that make it small.
SMALL = {
    "vit": ("vit_b16", {"width": 24, "depth": 2, "mlp_width": 32, "num_heads": 3, "resolution": 32}),
    "mixer": ("mixer_b16", {"width": 16, "depth": 2, "token_width": 8, "channel_width": 32, "resolution": 224}),
    "bit": ("bit_r50x1", {"depths": (1, 1, 1, 1), "width": 32, "resolution": 64}),
    "convnext": ("facebook/convnext-tiny-224", {"depths": (1, 1, 1, 1), "widths": (8, 16, 24, 32), "resolution": 64}),
    "efficientnet-lite": ("efficientnet-lite0", {"resolution": 64}),
    "dinov3": (
        "facebook/dinov3-vitb16-pretrain-lvd1689m",
        {"width": 24, "depth": 2, "mlp_width": 32, "num_heads": 3, "resolution": 32},
    ),
    "eva": (
        "timm/eva02_base_patch14_224.mim_in22k",
        {"width": 24, "depth": 2, "mlp_width": 32, "num_heads": 3, "resolution": 28},
    ),
    "aimv2": (
        "apple/aimv2-large-patch14-224",
        {"width": 24, "depth": 2, "mlp_width": 32, "num_heads": 3, "resolution": 28},
    ),
}


def draw_parameters(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Returns float32 parameters in (0, 1), the same on every machine: each is seeded by its own name."""
    parameters = {}
    for name, shape in shapes.items():
        size = math.prod(shape)
        bits = np.random.PCG64(zlib.crc32(name.encode())).random_raw((size + 1) // 2).view(np.uint32)[:size]
        parameters[name] = ((bits >> 8).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)
    return parameters


def small_entry(family: str) -> Entry:
    """Returns a small tower of a family with the preprocessing of a published one, at the small tower's resolution."""
    name, sizes = SMALL[family]
    entry = find_tower(name)
    size = sizes["resolution"]
    preprocessing = dataclasses.replace(entry.preprocessing, size=size, resize="square", resize_size=size, crop="none")
    config = dataclasses.replace(entry.config, **sizes)
    return Entry(family=entry.family, config=config, preprocessing=preprocessing)


def load_small(family: str, folder: pathlib.Path):
    """Returns a family's small tower, loaded from a file under one of the family's namings."""
    name, entry = f"test-golden-{family}", small_entry(family)
    if name not in tower_names():
        register(name, entry)
    parameters = draw_parameters(dict(entry.family.parameter_shapes(entry.config)))
    path = folder / f"{family}.npz"
    namings = entry.family.namings(entry.config)
    whole = [one for one in namings if {name for row in one.links for name in row.parameters} == set(parameters)]
    np.savez(path, **write_names(whole[-1], parameters))
    return load_tower(name, str(path))


def compute() -> dict[str, dict[str, str]]:
    """Returns what fingerprints.json holds."""
    registered = {}
    for name in (name for name in tower_names() if not name.startswith("test-")):
        entry = find_tower(name)
        architecture = {"family": entry.family.name, **entry.config.to_json()}
        registered[name] = fingerprint(architecture, entry.preprocessing.to_json(), NO_WEIGHTS)
    with tempfile.TemporaryDirectory() as folder:
        loaded = {family: load_small(family, pathlib.Path(folder)).fingerprint() for family in SMALL}
    return {"registered": registered, "loaded": loaded}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compute(), indent=1) + "\n")
