"""BiT against transformers' BitModel (goldens made by tests/oracles), the names in its files, and published figures."""

import dataclasses
import math

import jax
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.towers.family import Entry
from lit_precompute.towers.image import bit
from lit_precompute.towers.image.bit.config import BiTConfig
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import find_tower, register, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles import hugging_face
from tests.oracles.drawing import draw_images
from tests.towers.parity import assert_parity, cosines, golden

# file of the oracle: (depths, width)
SMALL = {"bit": ((2, 1, 2, 1), 32), "bit-full-width": ((1, 1, 1, 1), 64)}
CASES = [case for case, (file, _) in hugging_face.CASES.items() if file in SMALL]


def _config(file, **fields):
    depths, width = SMALL[file]
    config = find_tower("google/bit-50").config
    return dataclasses.replace(config, depths=depths, width=width, **fields)


def _small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        register(name, Entry(family=bit.FAMILY, config=_config(file), preprocessing=Preprocessing(size=448)))
    return name


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for file in SMALL:
        safetensors.numpy.save_file(hugging_face.draw_file(file), folder / f"{file}.safetensors")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_matches_transformers(files, case):
    """At sides that are multiples of 32 and at odd ones, where the paddings of the two sides differ."""
    file, side = hugging_face.CASES[case]
    tower = load_tower(_small_name(file), str(files / f"{file}.safetensors"), resolution=side)
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    assert_parity(tower, images, golden("hugging_face", f"{case} average"))


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_points_the_same_way(files, case):
    file, side = hugging_face.CASES[case]
    path = str(files / f"{file}.safetensors")
    tower = load_tower(_small_name(file), path, resolution=side, compute_type="bfloat16")
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images))
    assert found.dtype == np.float32
    assert (cosines(found, golden("hugging_face", f"{case} average")) >= 0.999).all()


def _float64_norm_relu(x, scale, bias):
    """Returns group norm of 32 groups and ReLU of float64 [n, h, w, c], as arXiv:1803.08494 defines it."""
    groups = x.reshape(len(x), -1, 32, x.shape[-1] // 32)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    normed = ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    return np.maximum(normed * scale + bias, 0)


def _float64_convolution(x, kernel, stride, epsilon):
    """Returns the convolution with the standardised kernel [h, w, inputs, outputs], padded alike on all sides."""
    kernel = (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + epsilon)
    size = kernel.shape[0]
    around = (size // 2, size // 2)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), around, around, (0, 0))), (size, size), axis=(1, 2)
    )
    return np.einsum("nyxcij,ijco->nyxo", windows[:, ::stride, ::stride], kernel)


def _float64_bit(arrays, images, epsilon):
    """Returns the pre-logits of a BiT whose blocks have one unit each, from the authors' names, in NumPy float64."""
    arrays = {name.removeprefix("resnet/"): value.astype(np.float64) for name, value in arrays.items()}
    kernel = "standardized_conv2d/kernel"
    x = _float64_convolution(images.astype(np.float64), arrays[f"root_block/{kernel}"], 2, epsilon)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max((-1, -2))
    for block in (1, 2, 3, 4):
        unit, stride = f"block{block}/unit01", 1 if block == 1 else 2

        def norm_relu(letter, values, unit=unit):
            prefix = f"{unit}/{letter}/group_norm"
            return _float64_norm_relu(values, arrays[f"{prefix}/gamma"], arrays[f"{prefix}/beta"])

        hidden = norm_relu("a", x)
        x = _float64_convolution(hidden, arrays[f"{unit}/a/proj/{kernel}"], stride, epsilon)
        hidden = norm_relu("b", _float64_convolution(hidden, arrays[f"{unit}/a/{kernel}"], 1, epsilon))
        hidden = norm_relu("c", _float64_convolution(hidden, arrays[f"{unit}/b/{kernel}"], stride, epsilon))
        x = x + _float64_convolution(hidden, arrays[f"{unit}/c/{kernel}"], 1, epsilon)
    return _float64_norm_relu(x, arrays["group_norm/gamma"], arrays["group_norm/beta"]).mean((1, 2))


@pytest.mark.parametrize("epsilon", [1e-10, 1e-2])
def test_matches_float64_numpy_with_the_authors_names(tmp_path, epsilon):
    """Kernels of deviation 0.02 to 0.2: with 1e-2 the epsilon is more than a trifle."""
    config = BiTConfig(resolution=40, depths=(1, 1, 1, 1), width=32, weight_epsilon=epsilon)
    arrays = _drawn(config, "the authors' npz")
    np.savez(tmp_path / "bit.npz", **arrays)
    name = f"test-bit-{epsilon}"
    if name not in tower_names():
        register(name, Entry(family=bit.FAMILY, config=config, preprocessing=Preprocessing(size=40)))
    images = draw_images("bit", 2, 40)
    assert_parity(load_tower(name, str(tmp_path / "bit.npz")), images, _float64_bit(arrays, images, epsilon), 2e-5)


# --- names ---------------------------------------------------------------------------------------------------------


def _naming(config, name):
    return next(naming for naming in bit.FAMILY.namings(config) if naming.name == name)


def _drawn(config, naming):
    """Returns the weights of "bit" that Hugging Face's file has, or as many as the configuration asks, renamed."""
    arrays = hugging_face.draw_file("bit")
    shapes = bit.FAMILY.parameter_shapes(config)
    parameters = read_names([_naming(_config("bit"), "Hugging Face BiT")], arrays, shapes)
    return write_names(_naming(config, naming), {name: parameters[name] for name in shapes})


# One array of each kind, as the publishers' code and files have it.
KNOWN = {
    "the authors' npz": {
        "resnet/root_block/standardized_conv2d/kernel": (7, 7, 3, 32),
        "resnet/block1/unit01/a/proj/standardized_conv2d/kernel": (1, 1, 32, 128),
        "resnet/block1/unit02/a/standardized_conv2d/kernel": (1, 1, 128, 32),
        "resnet/block3/unit02/b/standardized_conv2d/kernel": (3, 3, 128, 128),
        "resnet/block3/unit02/c/group_norm/gamma": (128,),
        "resnet/group_norm/beta": (1024,),
    },
    "big_vision": {
        "root_block/conv_root/kernel": (7, 7, 3, 32),
        "block1/unit01/conv_proj/kernel": (1, 1, 32, 128),
        "block3/unit02/gn3/scale": (1, 1, 1, 128),
        "norm-pre-head/bias": (1, 1, 1, 1024),
    },
    "timm": {
        "stem.conv.weight": (32, 3, 7, 7),
        "stages.0.blocks.0.downsample.conv.weight": (128, 32, 1, 1),
        "stages.2.blocks.1.conv2.weight": (128, 128, 3, 3),
        "stages.2.blocks.1.norm3.weight": (128,),
        "norm.bias": (1024,),
    },
}


@pytest.mark.parametrize("naming", [*KNOWN, "Hugging Face BiT"])
def test_every_naming_round_trips_to_the_bit_and_gives_the_same_tower(tmp_path, files, naming):
    config = _config("bit")
    arrays = _drawn(config, naming)
    if naming in KNOWN:
        assert {name: arrays[name].shape for name in KNOWN[naming]} == KNOWN[naming]
    else:
        published = hugging_face.draw_file("bit")
        assert arrays.keys() == published.keys()
        for name, array in published.items():
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    parameters = read_names(bit.FAMILY.namings(config), arrays, bit.FAMILY.parameter_shapes(config))
    written = write_names(_naming(config, naming), parameters)
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(written[name], array, err_msg=name)
    np.savez(tmp_path / "renamed.npz", **arrays)
    name = _small_name("bit")
    other = load_tower(name, str(tmp_path / "renamed.npz"), resolution=96)
    given = load_tower(name, str(files / "bit.safetensors"), resolution=96)
    assert other.fingerprint() == given.fingerprint()


@pytest.mark.parametrize(
    ("naming", "head"),
    [
        ("the authors' npz", {"resnet/head/conv2d/kernel": (1, 1, 1024, 9), "resnet/head/conv2d/bias": (9,)}),
        ("big_vision", {"head/kernel": (1024, 9), "head/bias": (9,)}),
        ("timm", {"head.fc.weight": (9, 1024, 1, 1), "head.fc.bias": (9,)}),
        ("Hugging Face BiT", {"classifier.1.weight": (9, 1024), "classifier.1.bias": (9,)}),
    ],
)
def test_classifiers_are_left_out(tmp_path, naming, head):
    arrays = _drawn(_config("bit"), naming)
    prefix = "bit." if naming == "Hugging Face BiT" else ""  # as BitForImageClassification has it
    whole = {prefix + name: array for name, array in arrays.items()}
    np.savez(tmp_path / "whole.npz", **whole, **{name: np.zeros(shape, np.float32) for name, shape in head.items()})
    tower = load_tower(_small_name("bit"), str(tmp_path / "whole.npz"))
    assert tower.parameters.keys() == bit.FAMILY.parameter_shapes(_config("bit")).keys()


def test_running_numbers_in_the_authors_names_are_read_and_none_hides_another(tmp_path):
    """Some of the authors' files have standardized_conv2d_7 and the like."""
    plain = _drawn(_config("bit"), "the authors' npz")
    numbered = {
        name.replace("standardized_conv2d", f"standardized_conv2d_{number}") if number % 2 else name: array
        for number, (name, array) in enumerate(plain.items())
    }
    assert numbered.keys() != plain.keys()
    for name, arrays in (("plain", plain), ("numbered", numbered)):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    towers = [load_tower(_small_name("bit"), str(tmp_path / f"{name}.npz")) for name in ("plain", "numbered")]
    assert towers[0].fingerprint() == towers[1].fingerprint()
    twice = "resnet/block1/unit01/a/standardized_conv2d_3/kernel"
    np.savez(tmp_path / "twice.npz", **{twice: np.zeros((1, 1, 32, 32), np.float32)}, **plain)
    with pytest.raises(WeightsError, match=rf"1 parameter not expected:\n  {twice} \(1, 1, 32, 32\)"):
        load_tower(_small_name("bit"), str(tmp_path / "twice.npz"))


def test_a_wrong_file_names_what_is_missing_extra_and_misshapen(tmp_path):
    arrays = hugging_face.draw_file("bit")
    arrays["norm.weight"] = arrays["norm.weight"][:1000]
    arrays["embedder.norm.weight"] = np.zeros(32, np.float32)  # of the hybrid's root
    del arrays["encoder.stages.2.layers.1.conv2.weight"]
    safetensors.numpy.save_file(arrays, tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_tower(_small_name("bit"), str(tmp_path / "wrong.safetensors"))
    said = str(caught.value)
    assert "1 parameter missing:\n  block3/unit02/conv2/kernel (3, 3, 128, 128)" in said
    assert "1 parameter not expected:\n  embedder.norm.weight (32)" in said
    assert "norm-pre-head/scale: the file has (1000), the tower needs (1024)" in said


# --- published figures ---------------------------------------------------------------------------------------------


# With the head of 1,000 classes, as timm's results-imagenet.csv has them in millions of two decimals.
@pytest.mark.parametrize(
    ("size", "millions"),
    [("50x1", 25.55), ("50x3", 217.32), ("101x1", 44.54), ("101x3", 387.93), ("152x2", 236.34), ("152x4", 936.53)],
)
def test_parameter_counts_are_the_published_ones(size, millions):
    for name in (f"bit_r{size}", f"bit_r{size}-bit_m", f"timm/resnetv2_{size}_bit.goog_in21k"):
        config = find_tower(name).config
        count = sum(math.prod(shape) for shape in bit.FAMILY.parameter_shapes(config).values())
        with_head = count + 1000 * (config.output_width + 1)
        assert round(with_head / 1e6, 2) == millions
        assert config.output_width == 2048 * int(size[-1])
    if size == "50x1":
        assert with_head == 25_549_352


def test_images_are_prepared_as_the_publishers_do():
    """A white image with black sides: the authors' squeeze keeps them, the others' crops cut them off."""
    image = np.full((256, 512, 3), 255, np.uint8)
    image[:, :20], image[:, -20:] = 0, 0
    squeezed = prepare(image, find_tower("bit_r50x1-bit_m").preprocessing)
    assert squeezed.shape == (224, 224, 3) and squeezed[112, 0, 0] == 0
    for name, side in (("timm/resnetv2_50x1_bit.goog_in21k", 224), ("google/bit-50", 448)):
        entry = find_tower(name)
        assert entry.config.resolution == side
        cropped = prepare(image, entry.preprocessing)
        assert cropped.shape == (side, side, 3) and (cropped == 255).all()
        assert entry.preprocessing.value_range.table()[[0, 255], 0].tolist() == [-1, 1]


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="width must be a multiple of 32, the groups of its norms, got 48"):
        BiTConfig(resolution=224, depths=(3, 4, 6, 3), width=48)
    with pytest.raises(ValueError, match=r"each block needs a unit or more, got depths \(3, 0\)"):
        BiTConfig(resolution=224, depths=(3, 0), width=64)
