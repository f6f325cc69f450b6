"""The published AIMv2 models: their names, their counts, and what their config.json says."""

import dataclasses
import json
import math
import re

import pytest

from lit_precompute.towers.image import aimv2
from lit_precompute.towers.image.hugging_face.networks import network_of
from lit_precompute.towers.registry import find_tower, resolve_tower, tower_names
from tests.oracles import aimv2 as oracle
from tests.oracles import hugging_face
from tests.towers.image.small_aimv2 import PUBLISHED, small_name

CONFIGS = json.loads(oracle.DESCRIBED.read_text(encoding="utf-8"))
TOWERS = [name for name in tower_names() if name.startswith("apple/aimv2-")]
# Millions, to the digits that the cards of timm's copies on Hugging Face state.
MILLIONS = {
    "large-patch14-224": (309, 0),
    "large-patch14-336": (310, 0),
    "huge-patch14-336": (681, 0),
    "3B-patch14-336": (2720, -1),
    "3B-patch14-448": (2720, -1),
}


def _count(config):
    return sum(map(math.prod, aimv2.FAMILY.parameter_shapes(config).values()))


@pytest.mark.parametrize("name", TOWERS)
def test_counts_are_those_of_transformers_files_at_the_published_sizes(name):
    """Transformers' list of a small file's arrays, grown to the sizes that the model's config.json states."""
    config = find_tower(name).config
    file = "aimv2-lit" if config.head else "aimv2-native" if config.positions == "sine" else "aimv2"
    grown = {96: config.width, 256: config.mlp_width, 48: config.projection_width}
    total = 0
    for array, shape in json.loads(hugging_face.FILE_NAMES.read_text(encoding="utf-8"))[file].items():
        if re.match(r"text_|logit_|.*layers\.[^0]", array):
            continue
        lengths = [grown.get(length, length) for length in shape]
        if "position_embedding" in array:
            lengths[0] = (config.resolution // 14) ** 2
        total += math.prod(lengths) * (24 if ".0." in array else 1)
    assert _count(config) == total


@pytest.mark.parametrize("name", MILLIONS)
def test_counts_are_the_published_ones(name):
    millions, digits = MILLIONS[name]
    assert round(_count(find_tower(f"apple/aimv2-{name}").config) / 1e6, digits) == millions


def test_every_published_model_has_a_name():
    expected = {
        f"apple/aimv2-{size}-patch14-{side}" for size in ("large", "huge", "1B", "3B") for side in (224, 336, 448)
    }
    expected |= {f"apple/aimv2-large-patch14-{tag}" for tag in ("224-distilled", "336-distilled", "native", "224-lit")}
    assert set(TOWERS) == expected
    assert resolve_tower("timm/aimv2_1b_patch14_448.apple_pt")[0] == "apple/aimv2-1B-patch14-448"
    assert resolve_tower("aimv2_large_patch14_336.apple_pt_dist")[0] == "apple/aimv2-large-patch14-336-distilled"


# --- config.json ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PUBLISHED)
def test_transformers_config_is_read(file):
    side = hugging_face.KNOWN[file][2][0]
    network = network_of(CONFIGS[file], file, resolution=side)
    expected = dataclasses.replace(find_tower(small_name(file)).config, resolution=side)
    if file == "aimv2-head":  # a model of its own, whose embedding is the head's
        expected = dataclasses.replace(expected, pooling="map", projection_width=0)
    assert (network.family, network.config) == (aimv2.FAMILY, expected)


# As apple/aimv2-1B-patch14-224 published it first; others differ in sizes.
FIRST = {
    "architectures": ["AIMv2Model"],
    "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_aimv2.AIMv2Config", "AutoModel": "modeling_aimv2.AIMv2Model"},
    "hidden_size": 2048,
    "image_size": 224,
    "intermediate_size": 5632,
    "model_type": "aimv2",
    "num_attention_heads": 16,
    "num_channels": 3,
    "num_hidden_layers": 24,
    "patch_size": 14,
    "projection_dropout": 0.0,
    "qkv_bias": False,
    "rms_norm_eps": 1e-05,
    "torch_dtype": "float32",
    "transformers_version": "4.46.3",
    "use_bias": False,
}
_LARGE = {"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 8}
# The native model's has no size, and queries that nothing uses; after its conversion it says more.
FIRST_NATIVE = {**FIRST, **_LARGE, "num_queries": 256, "image_size": None}
CONVERTED_NATIVE = {
    **FIRST_NATIVE,
    **{"model_type": "aimv2_vision_model", "hidden_act": "silu", "image_size": 224, "initializer_range": 0.02},
    **{"is_native": True, "mlp_bias": False, "use_head": False},
}
FIRST_LIT = {
    **{"architectures": ["AIMv2Model"], "init_temperature": 0.07, "max_logit_scale": 100.0, "model_type": "aimv2"},
    **{"projection_dim": 768, "text_config": {"hidden_size": 768, "is_causal": True}},
    "vision_config": {**FIRST, **_LARGE, "num_queries": 1},
}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (FIRST, "1B-patch14-224"),
        (FIRST_NATIVE, "large-patch14-native"),
        (CONVERTED_NATIVE, "large-patch14-native"),
        (FIRST_LIT, "large-patch14-224-lit"),
    ],
)
def test_published_configs_describe_the_registered_entries(content, name):
    assert network_of(content, name, resolution=224).config == find_tower(f"apple/aimv2-{name}").config


def test_a_published_folder_is_the_registered_tower(tmp_path):
    """With the preprocessor_config.json of apple/aimv2-1B-patch14-448."""
    processor = {
        **{"crop_size": {"height": 448, "width": 448}, "do_center_crop": True, "do_convert_rgb": True},
        **{"do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 0.00392156862745098},
        **{"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]},
        **{"image_processor_type": "CLIPImageProcessor", "resample": 3, "size": {"shortest_edge": 448}},
    }
    for name, content in (("config", {**FIRST, "image_size": 448}), ("preprocessor_config", processor)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    described, entry = find_tower(str(tmp_path)), find_tower("apple/aimv2-1B-patch14-448")
    assert (described.config, described.preprocessing) == (entry.config, entry.preprocessing)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**FIRST, "use_bias": True}, "use_bias must be False, got True"),
        ({**FIRST, "qkv_bias": True}, "qkv_bias must be False, got True"),
        ({**CONFIGS["aimv2"], "hidden_act": "gelu"}, "hidden_act must be 'silu', got 'gelu'"),
        ({**CONFIGS["aimv2-head"], "num_queries": 2}, "num_queries must be 1, got 2"),
        ({**CONFIGS["aimv2"], "rope": 1}, "rope is not known"),
        ({**FIRST_LIT, "vision_config": {"use_head": False}}, "vision_config: use_head must be True"),
        ({**FIRST, "num_attention_heads": 5}, "config.json: AIMv2: width must be a multiple of num_heads"),
    ],
)
def test_what_is_not_known_is_refused_by_name(content, words):
    with pytest.raises(ValueError, match=words):
        network_of(content, "config.json", resolution=224)
