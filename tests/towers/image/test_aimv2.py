"""AIMv2 against transformers and timm (goldens made by tests/oracles), its files' names, its counts and its entries."""

import dataclasses
import functools
import json
import math
import re

import jax
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.image import aimv2
from lit_precompute.towers.image.aimv2.config import AIMv2Config
from lit_precompute.towers.image.aimv2.parameters import sines
from lit_precompute.towers.image.hugging_face.networks import network_of
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.registry import find_tower, register, resolve_tower, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles import aimv2 as oracle
from tests.oracles import hugging_face
from tests.oracles.drawing import draw, draw_images
from tests.towers.parity import assert_parity, cosines, golden

# The published tower that each file is a small one of.
PUBLISHED = {
    "aimv2": "apple/aimv2-large-patch14-224",
    "aimv2-98": "apple/aimv2-large-patch14-336",
    "aimv2-head": "apple/aimv2-large-patch14-224-lit",
    "aimv2-native": "apple/aimv2-large-patch14-native",
    "aimv2-lit": "apple/aimv2-large-patch14-224-lit",
}
SMALL = {"width": 96, "depth": 3, "num_heads": 3, "mlp_width": 256}
CONFIGS = json.loads(oracle.DESCRIBED.read_text(encoding="utf-8"))
NAMES = {
    "aimv2": "Hugging Face AIMv2",
    "aimv2-98": "Hugging Face AIMv2",
    "aimv2-head": "Hugging Face AIMv2",
    "aimv2-native": "Hugging Face AIMv2",
    "aimv2-lit": "Hugging Face AIMv2, two towers",
}
POOLINGS = {"aimv2-head": ("average", "map"), "aimv2-lit": ("average", "map", "projection")}


def small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        entry = find_tower(PUBLISHED[file])
        fields = dict(SMALL) | ({"projection_width": 48} if entry.config.projection_width else {})
        register(name, dataclasses.replace(entry, config=dataclasses.replace(entry.config, **fields)))
    return name


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for file in PUBLISHED:
        safetensors.numpy.save_file(hugging_face.draw_file(file), folder / f"{file}.safetensors")
    original = oracle.original_names(hugging_face.draw_file("aimv2"))
    safetensors.numpy.save_file(original, folder / "original.safetensors")
    return folder


@pytest.mark.parametrize("case", [case for case in oracle.CASES if case not in oracle.RESIZED])
def test_matches_transformers(files, case):
    file, side = oracle.CASES[case]
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    for pooling in POOLINGS.get(file, ("average",)):
        tower = load_tower(small_name(file), str(files / f"{file}.safetensors"), resolution=side, pooling=pooling)
        assert_parity(tower, images, golden("aimv2", f"{case} {pooling}"))


@pytest.mark.parametrize("case", oracle.RESIZED)
def test_matches_timm_under_the_first_files_names_with_positions_resized(files, case):
    side = oracle.RESIZED[case]
    tower = load_tower(small_name("aimv2"), str(files / "original.safetensors"), resolution=side)
    assert_parity(tower, draw_images(case, hugging_face.NUM_IMAGES, side), golden("aimv2", f"{case} average"))


@pytest.mark.parametrize("file", ["aimv2-98", "aimv2-native", "aimv2-lit"])
@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_bfloat16_points_the_same_way(files, file):
    case, (_, side) = next((case, value) for case, value in oracle.CASES.items() if value[0] == file)
    pooling = POOLINGS.get(file, ("average",))[-1]
    path = str(files / f"{file}.safetensors")
    tower = load_tower(small_name(file), path, resolution=side, pooling=pooling, compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), draw_images(case, 2, side)))
    assert (cosines(found, golden("aimv2", f"{case} {pooling}")) >= 0.999).all()


def test_positions_of_native_models_are_sines_of_columns_then_rows():
    config = AIMv2Config(resolution=42, patch_size=14, width=8, depth=1, mlp_width=8, num_heads=1, positions="sine")
    table = sines(config)[0].reshape(3, 3, 8)
    for row in range(3):
        for column in range(3):
            x, y = ([place, place / 100] for place in (column, row))  # 10,000 to the powers 0 and -1/2
            np.testing.assert_allclose(table[row, column], [*np.sin(x), *np.cos(x), *np.sin(y), *np.cos(y)], atol=1e-7)


def test_the_pieces_that_cpus_process_give_what_the_whole_batch_gives(files):
    tower = load_tower(small_name("aimv2-lit"), str(files / "aimv2-lit.safetensors"), resolution=98)
    images = draw_images("pieces", 45, 98)
    whole = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images))
    alone = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images[44:]))
    np.testing.assert_allclose(whole[44:], alone, rtol=0, atol=1e-5 * np.abs(whole).max())


# --- names ---------------------------------------------------------------------------------------------------------


def _files_of(file):
    """Yields each naming's name, the file's arrays under it, and prefixes of what a tower leaves out."""
    arrays = hugging_face.draw_file(file)
    yield NAMES[file], arrays, ("text_", "logit_scale")
    side = {name.removeprefix("vision_model."): array for name, array in arrays.items() if "text_" not in name}
    original = oracle.original_names({name: array for name, array in side.items() if "logit" not in name})
    if file == "aimv2-lit":
        projection = original.pop("visual_projection.weight")
        original = {f"image_encoder.{name}": array for name, array in original.items()}
        others = {"log_logit_scale": np.float32(2), "text_encoder.trunk.post_trunk_norm.weight": np.ones(3, np.float32)}
        others["text_projector.weight"] = np.ones((48, 3), np.float32)
        yield "AIMv2, two towers", {**original, "image_projector.weight": projection, **others}, ("text_", "log_")
        return
    yield "AIMv2", original, ()
    if file in ("aimv2", "aimv2-98"):
        words = (("preprocessor.patchifier", "patch_embed"), ("preprocessor.pos_embed", "pos_embed"), ("trunk.", ""))
        words += (("post_trunk_norm", "norm"), ("norm_", "norm"), ("fc1", "fc1_g"), ("fc3", "fc1_x"))
        timms = {
            functools.reduce(lambda spelt, pair: spelt.replace(*pair), words, name): array
            for name, array in original.items()
        }
        yield "timm AIMv2", timms, ()


@pytest.mark.parametrize("file", PUBLISHED)
def test_names_round_trip_to_the_bit(file):
    pooling = POOLINGS.get(file, ("average",))[-1]
    config = dataclasses.replace(
        find_tower(small_name(file)).config, resolution=hugging_face.KNOWN[file][2][0], pooling=pooling
    )
    shapes, namings = aimv2.FAMILY.parameter_shapes(config), aimv2.FAMILY.namings(config)
    first = None
    for name, arrays, left_out in _files_of(file):
        renamed = read_names(namings, arrays, shapes)
        assert {key: value.shape for key, value in renamed.items()} == shapes, name
        first = first or renamed
        for key, value in renamed.items():
            np.testing.assert_array_equal(value, first[key], err_msg=f"{name}: {key}")
        written = write_names(next(one for one in namings if one.name == name), renamed)
        expected = {key: array for key, array in arrays.items() if not (left_out and key.startswith(left_out))}
        assert set(written) == set(expected)
        for key, array in expected.items():
            np.testing.assert_array_equal(written[key], array, err_msg=key)


def test_one_fingerprint_under_every_naming(files, tmp_path):
    for number, (_, arrays, _) in enumerate(_files_of("aimv2")):
        safetensors.numpy.save_file(arrays, tmp_path / f"{number}.safetensors")
    found = {load_tower(small_name("aimv2"), str(path), resolution=70).fingerprint() for path in tmp_path.iterdir()}
    assert len(found) == 1


def test_the_tower_writes_files_that_have_all_of_it():
    for pooling in ("average", "map", "projection"):
        config = dataclasses.replace(find_tower(small_name("aimv2-lit")).config, pooling=pooling, resolution=70)
        tower = aimv2.FAMILY.tower(config)
        parameters = {name: draw(name, shape) for name, shape in tower.parameter_shapes.items()}
        found = tower.read_parameters(tower.write_parameters(parameters), "a file")
        assert found.keys() == parameters.keys()
        for name, value in parameters.items():
            np.testing.assert_array_equal(found[name], value)


def test_a_file_without_the_head_is_refused_by_the_parameters_that_are_missing(files):
    with pytest.raises(WeightsError, match=r"MAPHead_0/key/kernel"):
        load_tower(small_name("aimv2-lit"), str(files / "aimv2.safetensors"), pooling="map")


def test_native_and_learned_positions_are_not_confused(files):
    with pytest.raises(WeightsError, match="pos_embedding"):
        load_tower(small_name("aimv2"), str(files / "aimv2-native.safetensors"))
    with pytest.raises(WeightsError, match=r"embeddings\.position_embedding\.weight"):
        load_tower(small_name("aimv2-native"), str(files / "aimv2.safetensors"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pooling": "class_token"}, "pooling must be one of"),
        ({"pooling": "map"}, "pooling 'map' needs a head; choose 'average'"),
        ({"pooling": "projection", "head": True}, "this tower has no projection"),
        ({"num_heads": 5}, "width must be a multiple of num_heads, got 1024 and 5"),
        ({"width": 1022, "num_heads": 1, "positions": "sine"}, "a multiple of 4 for sines, got 1022"),
        ({"resolution": 13}, "resolution must be >= patch_size 14, got 13"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(find_tower("apple/aimv2-large-patch14-224").config, **fields)


# --- published -----------------------------------------------------------------------------------------------------

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
