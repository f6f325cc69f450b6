"""DINOv3 against transformers (goldens made by tests/oracles): Vision Transformers and ConvNeXts, their `config.json`
and published counts.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.image import dinov3
from lit_precompute.towers.image.dinov3.positions import angles
from lit_precompute.towers.image.dinov3.published import ENTRIES, SIZES, variant
from lit_precompute.towers.image.hugging_face.networks import network_of
from lit_precompute.towers.image.hugging_face.processor import preprocessing_of
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.preprocessing import IMAGENET_RANGE
from lit_precompute.towers.registry import find_tower
from tests.oracles import dinov3 as oracle
from tests.oracles import hugging_face
from tests.oracles.drawing import draw_images
from tests.towers.image.small_dinov3 import CONFIGS, PUBLISHED, load_small, small_name
from tests.towers.parity import assert_parity, cosines, golden

CASES = hugging_face.cases_of(oracle.FILES)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize("case", CASES)
def test_matches_transformers(files, case):
    file, side = CASES[case]
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    for pooling in ("average", "average_unnormed" if file == "dinov3-convnext" else "class_token"):
        tower = load_small(files, file, resolution=side, pooling=pooling)
        assert_parity(tower, images, golden("dinov3", f"{case} {pooling}"))


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("dinov3-convnext")])
def test_class_token_and_average_are_joined(files, case):
    """As in DINOv2's linear probes: transformers' two poolings, joined by hand."""
    file, side = CASES[case]
    joined = load_small(files, file, resolution=side, pooling="class_token+average")
    assert joined.output_width == 2 * 96
    parts = [golden("dinov3", f"{case} {pooling}") for pooling in ("class_token", "average")]
    assert_parity(joined, draw_images(case, hugging_face.NUM_IMAGES, side), np.concatenate(parts, axis=1))


@pytest.mark.parametrize("file", PUBLISHED)
@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_bfloat16_points_the_same_way(files, file):
    side = oracle.FILES[file][2][0]
    case, pooling = f"{file}-{side}", find_tower(small_name(file)).config.pooling
    tower = load_small(files, file, resolution=side, compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), draw_images(case, 2, side)))
    assert found.dtype == np.float32
    assert (cosines(found, golden("dinov3", f"{case} {pooling}")) >= 0.999).all()


def test_many_images_are_as_each_alone(files):
    """CPUs compute a batch in parts."""
    tower = load_small(files, "dinov3", resolution=112)
    images = draw_images("many", 67, 112)
    apply = jax.jit(tower.apply)
    together, alone = apply(dict(tower.parameters), images), apply(dict(tower.parameters), images[-2:])
    np.testing.assert_allclose(together[-2:], alone, rtol=0, atol=1e-5)


def test_a_random_start_is_a_network():
    config = variant("vits16plus", resolution=48, width=24, depth=2, mlp_width=32, num_heads=3)
    tower = dinov3.FAMILY.tower(config)
    parameters = tower.initialise(jax.random.key(0))
    assert {name: values.shape for name, values in parameters.items()} == tower.parameter_shapes
    found = jax.jit(tower.apply)(parameters, draw_images("start", 2, 48))
    assert jnp.isfinite(found).all() and jnp.abs(found).max() > 0


def test_angles_of_positions_are_those_of_float64():
    grid, head_width, base = 37, 64, 100.0
    frequencies = base ** -(np.arange(head_width // 4) / (head_width / 4))
    rows, columns = (2 * (np.mgrid[:grid, :grid].reshape(2, -1, 1) + 0.5) / grid - 1) * 2 * math.pi * frequencies
    np.testing.assert_allclose(
        angles(grid, head_width, base), np.concatenate([rows, columns], axis=1), rtol=0, atol=2e-6
    )


# --- config.json and what is published -------------------------------------------------------------------------------


def _read(content, resolution=224):
    return network_of(content, "config.json", resolution=resolution)


@pytest.mark.parametrize("file", PUBLISHED)
def test_a_models_own_configuration_describes_the_small_tower(file):
    network, entry = _read(CONFIGS["files"][file]), find_tower(small_name(file))
    assert (network.family, network.config) == (entry.family, entry.config)


@pytest.mark.parametrize("name", CONFIGS["published"])
def test_a_published_models_configuration_describes_its_entry(name):
    network, entry = _read(CONFIGS["published"][name]["config"]), find_tower(name)
    assert (network.family, network.config) == (entry.family, entry.config)


@pytest.mark.parametrize(
    ("file", "fields", "words"),
    [
        ("dinov3", {"hidden_act": "silu"}, r"hidden_act must be 'gelu' in an MLP without a gate .*, got 'silu'"),
        ("dinov3-gated", {"hidden_act": "gelu"}, r"hidden_act must be 'silu' in an MLP with a gate .*, got 'gelu'"),
        ("dinov3", {"mlp_bias": False}, r"mlp_bias must be True, got False"),
        ("dinov3", {"proj_bias": False}, r"proj_bias must be True, got False"),
        ("dinov3", {"num_register_tokens": -1}, r"num_register_tokens must be a whole number >= 0, got -1"),
        ("dinov3", {"num_attention_heads": 5}, r"config.json: .*width must be a multiple of 4 \* num_heads"),
        ("dinov3", {"rope_scaling": 2}, r"rope_scaling is not known, and may change what the tower computes"),
        ("dinov3-convnext", {"layer_norm_eps": 1e-5}, r"layer_norm_eps must be 1e-06, got 1e-05"),
        ("dinov3-convnext", {"hidden_act": "silu"}, r"hidden_act must be 'gelu', got 'silu'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(file, fields, words):
    with pytest.raises(OptionsError, match=words):
        _read({**CONFIGS["files"][file], **fields})


# The models' pages on Hugging Face say, in millions.
COUNTS = {
    "vits16": 21.6,
    "vits16plus": 28.7,
    "vitb16": 85.7,
    "vitl16": 303.1,
    "vith16plus": 840.6,
    "vit7b16": 6716.0,
} | {
    "convnext-tiny": 27.8,
    "convnext-small": 49.5,
    "convnext-base": 87.6,
    "convnext-large": 196.2,
}


def _count(name):
    entry = find_tower(name)
    return sum(map(math.prod, entry.family.parameter_shapes(entry.config).values()))


@pytest.mark.parametrize("size", COUNTS)
def test_counts_are_the_published_ones(size):
    name = f"facebook/dinov3-{size}-pretrain-lvd1689m"
    assert _count(name) == CONFIGS["published"][name]["num_parameters"]
    assert abs(_count(name) / 1e6 - COUNTS[size]) <= 0.0501


def test_satellite_models_have_the_same_network_and_other_values():
    for size in ("vitl16", "vit7b16"):
        web, satellite = (find_tower(f"facebook/dinov3-{size}-pretrain-{data}") for data in ("lvd1689m", "sat493m"))
        assert web.config == satellite.config
        assert web.preprocessing.value_range == IMAGENET_RANGE
        np.testing.assert_allclose(satellite.preprocessing.value_range.mean, 255 * np.array([0.430, 0.411, 0.296]))
        np.testing.assert_allclose(satellite.preprocessing.value_range.deviation, 255 * np.array([0.213, 0.156, 0.143]))


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.startswith("facebook/")])
def test_images_are_prepared_as_the_repositorys_own_file_says(name):
    """What transformers wrote there: the processor's defaults, and the satellite models' mean and deviation."""
    values = {"image_mean": [0.430, 0.411, 0.296], "image_std": [0.213, 0.156, 0.143]} if "sat493m" in name else {}
    content = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 224, "width": 224}, **values}
    assert find_tower(name).preprocessing == preprocessing_of(content, name)


def test_timms_copies_have_the_same_network_without_biases():
    for words, size in (("small", "vits16"), ("huge_plus", "vith16plus")):
        original = _count(f"facebook/dinov3-{size}-pretrain-lvd1689m")
        assert _count(f"timm/vit_{words}_patch16_dinov3_qkvb.lvd1689m") == original
        width, depth = SIZES[size][:2]
        assert _count(f"timm/vit_{words}_patch16_dinov3.lvd1689m") == original - 2 * width * depth
    assert _count("timm/vit_7b_patch16_dinov3.sat493m") == _count("facebook/dinov3-vit7b16-pretrain-sat493m")


def test_names_lead_to_the_files_of_their_publishers():
    for name, weights in {
        "facebook/dinov3-vits16-pretrain-lvd1689m": "hf://facebook/dinov3-vits16-pretrain-lvd1689m/model.safetensors",
        # In several files, which their index lists.
        "facebook/dinov3-vit7b16-pretrain-sat493m": "hf://facebook/dinov3-vit7b16-pretrain-sat493m",
        "vit_base_patch16_dinov3.lvd1689m": "hf://timm/vit_base_patch16_dinov3.lvd1689m/model.safetensors",
        "convnext_tiny.dinov3_lvd1689m": "hf://timm/convnext_tiny.dinov3_lvd1689m/model.safetensors",
    }.items():
        assert find_tower(name).weights == weights
    assert all(entry.config.resolution == entry.preprocessing.size for entry in ENTRIES.values())
    assert sum(name.startswith("facebook/") for name in ENTRIES) == 12


def test_invalid_sizes_are_refused():
    with pytest.raises(ValueError, match=r"DINOv3: resolution must be >= patch_size 16, got 15"):
        variant("vits16", resolution=15)
    with pytest.raises(ValueError, match=r"DINOv3: pooling must be one of \['class_token', 'average', .*got 'map'"):
        variant("vits16", pooling="map")
    with pytest.raises(ValueError, match=r"DINOv3: width must be a multiple of 4 \* num_heads, .*got 384 and 36"):
        variant("vits16", num_heads=36)
    with pytest.raises(ValueError, match=r"DINOv3: rope_base must be > 0, got 0"):
        variant("vits16", rope_base=0.0)
