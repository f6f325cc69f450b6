"""Loading array by array: how much memory it takes, and that parameters kept in bfloat16 change no bit."""

import dataclasses
import json
import tracemalloc

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.family import Entry
from lit_precompute.towers.fingerprint import hash_weights
from lit_precompute.towers.image import aimv2, dinov3, eva, mixer, vit
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import find_tower, register, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import write_names

TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
VIT = vit.config.ViTConfig(
    resolution=32, patch_size=8, width=384, depth=16, mlp_width=1536, num_heads=6, activation="exact"
)
MIXER = mixer.config.MixerConfig(
    resolution=32, pooling="average", patch_size=8, grid=4, width=96, depth=2, token_width=48, channel_width=192
)
NAME, MIXER_NAME = "test-large", "test-large-mixer"


def _register(name, family, config):
    if name not in tower_names():
        register(name, Entry(family=family, config=config, preprocessing=Preprocessing(size=config.resolution)))
    return name


@pytest.fixture(scope="module", autouse=True)
def towers():
    """Registers both towers."""
    _register(NAME, vit.FAMILY, VIT)
    _register(MIXER_NAME, mixer.FAMILY, MIXER)


def _draw(family, config, stored_type="float32"):
    """Returns random parameters, as rounded as a file of this type has them."""
    rng = np.random.default_rng(0)
    shapes = family.parameter_shapes(config)
    return {
        name: (0.2 * rng.standard_normal(shape, np.float32)).astype(TYPES[stored_type])
        for name, shape in shapes.items()
    }


def _write(folder, arrays, num_files):
    """Writes arrays as Hugging Face does: one file, or several that an index names."""
    folder.mkdir()
    if num_files == 1:
        safetensors.numpy.save_file(arrays, folder / "model.safetensors")
        return str(folder)
    holders = {}
    for number in range(num_files):
        names = list(arrays)[number::num_files]
        file = f"model-{number + 1:05d}-of-{num_files:05d}.safetensors"
        safetensors.numpy.save_file({name: arrays[name] for name in names}, folder / file)
        holders |= dict.fromkeys(names, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": holders}))
    return str(folder)


def _naming(name):
    (naming,) = [naming for naming in vit.FAMILY.namings(VIT) if naming.name == name]
    return naming


def _as_torch(parameters):
    """Returns parameters as timm's files have them, which join query, key and value; with a head that is dropped."""
    return {**write_names(_naming("timm"), parameters), "head.weight": np.ones((1000, VIT.width), np.float32)}


@pytest.mark.parametrize(
    ("kind", "stored_type", "compute_type"),
    [
        ("shards", "float32", "bfloat16"),
        ("shards", "bfloat16", "bfloat16"),
        ("one file", "float16", "float32"),
        ("one file", "float16", "bfloat16"),
        ("npz", "float32", "float32"),
        ("npz", "float32", "bfloat16"),
    ],
)
def test_loading_takes_little_more_memory_than_the_parameters(tmp_path, kind, stored_type, compute_type):
    parameters = _draw(vit.FAMILY, VIT, stored_type)
    if kind == "npz":
        path = str(tmp_path / "weights.npz")
        np.savez(path, **write_names(_naming("vision_transformer, present blocks"), parameters))
    else:
        path = _write(tmp_path / "folder", _as_torch(parameters), 4 if kind == "shards" else 1)
    expected = {name: array.astype(np.float32) for name, array in parameters.items()}
    sha256 = hash_weights(expected)
    load_tower(NAME, path)  # imports
    tracemalloc.start()
    tower = load_tower(NAME, path, compute_type=compute_type)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(array.nbytes for array in tower.parameters.values())
    assert size <= 4 * sum(array.size for array in expected.values()) / (1.98 if compute_type == "bfloat16" else 1)
    assert peak <= 1.2 * size
    assert tower.weights_sha256 == sha256
    assert tower.parameters.keys() == expected.keys()
    for name, array in tower.parameters.items():
        is_rounded = compute_type == "bfloat16" and name.endswith("/kernel")
        assert array.dtype == (ml_dtypes.bfloat16 if is_rounded else np.float32), name
        np.testing.assert_array_equal(array, expected[name].astype(array.dtype), err_msg=name)


@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
@pytest.mark.parametrize("num_images", [3, 130])
@pytest.mark.parametrize(
    ("family", "config"),
    [
        (vit.FAMILY, {"pooling": "map"}),
        (vit.FAMILY, {"activation": "swiglu", "layer_scale": True, "num_registers": 4}),
        (vit.FAMILY, {"pooling": "projection", "projection_width": 24, "pre_norm": True, "activation": "quick"}),
        (mixer.FAMILY, {}),
        (aimv2.FAMILY, {"width": 48, "mlp_width": 96, "num_heads": 3, "depth": 2, "resolution": 56}),
        (eva.FAMILY, {"width": 48, "mlp_width": 96, "num_heads": 3, "depth": 2, "resolution": 56}),
        (
            eva.FAMILY,
            {
                "of": "facebook/PE-Core-B16-224",
                "width": 48,
                "mlp_width": 96,
                "num_heads": 3,
                "depth": 2,
                "resolution": 64,
            },
        ),
        (dinov3.FAMILY, {"width": 48, "mlp_width": 96, "num_heads": 3, "depth": 2, "resolution": 64}),
    ],
)
def test_parameters_kept_in_bfloat16_change_no_bit(family, config, num_images):
    small = {"mixer": MIXER, "vit": VIT}
    published = {
        "dinov3": "facebook/dinov3-vitb16-pretrain-lvd1689m",
        "aimv2": "apple/aimv2-large-patch14-224",
        "eva": "timm/eva02_base_patch14_224.mim_in22k",
    }
    sizes = {field: value for field, value in config.items() if field != "of"}
    base = small.get(family.name) or find_tower(config.get("of", published[family.name])).config
    config = dataclasses.replace(base, compute_type="bfloat16", **sizes)
    if family is vit.FAMILY:
        config = dataclasses.replace(config, width=48, mlp_width=96, num_heads=3, depth=2)
    whole = _draw(family, config)
    kept = {name: array.astype(family.kept_type(config, name)) for name, array in whole.items()}
    assert any(array.dtype == ml_dtypes.bfloat16 for array in kept.values())
    apply = jax.jit(family.tower(config).apply)
    images = np.random.default_rng(1).random((num_images, config.resolution, config.resolution, 3), np.float32)
    np.testing.assert_array_equal(np.asarray(apply(whole, images)), np.asarray(apply(kept, images)), strict=True)


def test_families_that_compute_with_parameters_keep_them_whole():
    for name in ("bit_r50x1", "efficientnet-lite0", "convnext_base"):
        entry = find_tower(name)
        config = dataclasses.replace(entry.config, compute_type="bfloat16")
        shapes = entry.family.parameter_shapes(config)
        assert {entry.family.kept_type(config, parameter) for parameter in shapes} == {np.dtype(np.float32)}, name


def test_a_scanned_file_is_not_held_twice(tmp_path):
    """big_vision's scanned layout has the blocks of all layers in one array each."""
    parameters = _draw(vit.FAMILY, VIT)
    np.savez(tmp_path / "scanned.npz", **write_names(_naming("vision_transformer, scanned blocks"), parameters))
    load_tower(NAME, str(tmp_path / "scanned.npz"))
    tracemalloc.start()
    tower = load_tower(NAME, str(tmp_path / "scanned.npz"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.2 * sum(array.nbytes for array in parameters.values())
    for name, array in parameters.items():
        np.testing.assert_array_equal(tower.parameters[name], array, err_msg=name)


def test_all_faults_are_named_before_an_array_is_read(tmp_path):
    arrays = _as_torch(_draw(vit.FAMILY, VIT))
    arrays["blocks.0.norm1.weight"] = np.ones(3, np.float32)
    del arrays["norm.bias"]
    arrays["odd"] = np.ones(3, np.float32)
    path = _write(tmp_path / "folder", arrays, 2)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"(?s)1 parameter missing:.*1 parameter not expected:.*of another shape"):
        load_tower(NAME, path)
    assert tracemalloc.get_traced_memory()[1] < 24 << 20  # an index takes 16 MiB
    tracemalloc.stop()


def test_an_array_that_is_not_finite_is_named(tmp_path):
    parameters = _draw(vit.FAMILY, VIT)
    parameters["cls"][0, 0, 5] = np.inf
    path = _write(tmp_path / "folder", _as_torch(parameters), 1)
    with pytest.raises(WeightsError, match=f"for '{NAME}': cls: values must be finite"):
        load_tower(NAME, path, compute_type="bfloat16")
