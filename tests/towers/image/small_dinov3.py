"""Small towers of DINOv3, one for each file of its oracle."""

import dataclasses
import json

import safetensors.numpy

from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.registry import find_tower, register, tower_names
from tests.oracles import dinov3 as oracle
from tests.oracles import hugging_face

# What transformers writes as `config.json`.
CONFIGS = json.loads(oracle.CONFIGS.read_text(encoding="utf-8"))
# The published tower that each file is a small one of; its preprocessing is used.
PUBLISHED = {
    "dinov3": "facebook/dinov3-vitb16-pretrain-lvd1689m",
    "dinov3-gated": "facebook/dinov3-vith16plus-pretrain-lvd1689m",
    "dinov3-no-bias": "facebook/dinov3-vit7b16-pretrain-lvd1689m",
    "dinov3-other": "facebook/dinov3-vitb16-pretrain-lvd1689m",
    "dinov3-convnext": "facebook/dinov3-convnext-base-pretrain-lvd1689m",
}
VITS = [file for file in PUBLISHED if file != "dinov3-convnext"]
SMALL = {"width": 96, "depth": 2, "mlp_width": 128, "num_heads": 3}
OTHER = {"key_bias": True, "rope_base": 30.0, "norm_epsilon": 1e-3, "patch_size": 8, "num_registers": 0}


def small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        entry = find_tower(PUBLISHED[file])
        fields = SMALL | (OTHER if file == "dinov3-other" else {})
        if file == "dinov3-convnext":
            fields = {"widths": (32, 64, 96, 128), "depths": (2, 1, 2, 1)}
        register(name, dataclasses.replace(entry, config=dataclasses.replace(entry.config, **fields)))
    return name


def load_small(folder, file, **choices):
    """Returns the small tower, loaded from its file, which is in the folder from the first time on."""
    path = folder / f"{file}.safetensors"
    if not path.exists():
        safetensors.numpy.save_file(hugging_face.draw_file(file), path)
    return load_tower(small_name(file), str(path), **choices)
