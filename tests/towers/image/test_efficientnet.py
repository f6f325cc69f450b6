"""EfficientNet-Lite's two kinds of files, its published counts, and timm's preprocessing."""

import math
import re

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.image import efficientnet
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Scale
from lit_precompute.towers.registry import find_tower
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles import efficientnet as oracle
from tests.oracles.drawing import draw_torch_state

# Blocks of each of Lite0's stages.
_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_EXPANDED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
_EXPANDED |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


def _as_timm(arrays):
    """Returns the arrays of Lite0 as timm has them: blocks by stage, and the first stage without an expansion."""
    places = [(stage, row) for stage, depth in enumerate(_DEPTHS) for row in range(depth)]
    renamed = {}
    for name, array in arrays.items():
        if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            stage, row = places[int(found[1])]
            layer = (_EXPANDED if stage else _SEPARABLE)[found[2]]
            renamed[f"blocks.{stage}.{row}.{layer}.{found[3]}"] = array
        else:
            layer, field = name.split(".")
            renamed[f"{_OUTSIDE[layer]}.{field}"] = array
    return renamed


def test_one_set_of_weights_is_one_tower_in_both_files(tmp_path):
    arrays = oracle.draw_file()
    timm = _as_timm(arrays)
    counts = {f"{name.removesuffix('running_mean')}num_batches_tracked": np.int64(9) for name in timm if "mean" in name}
    head = {"classifier.weight": np.zeros((10, 1280), np.float32), "classifier.bias": np.zeros(10, np.float32)}
    safetensors.numpy.save_file(arrays, tmp_path / "plain.safetensors")
    np.savez(tmp_path / "timm.npz", **timm, **counts, **head)
    plain = load_tower("efficientnet-lite0", str(tmp_path / "plain.safetensors"))
    copied = load_tower("efficientnet-lite0", str(tmp_path / "timm.npz"))
    assert plain.fingerprint() == copied.fingerprint()
    # Under timm's name the images are prepared in another way: the weights are the same, the tower is not.
    as_timm = load_tower("timm/tf_efficientnet_lite0.in1k", str(tmp_path / "timm.npz"))
    assert as_timm.weights_sha256 == plain.weights_sha256
    assert as_timm.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize(("naming_name", "layout"), [("EfficientNet-PyTorch", dict), ("timm", _as_timm)])
def test_names_round_trip_to_the_bit(naming_name, layout):
    arrays, config = layout(oracle.draw_file()), find_tower("efficientnet-lite0").config
    shapes, namings = efficientnet.parameter_shapes(config), efficientnet.namings(config)
    renamed = read_names(namings, arrays, shapes)
    assert {name: array.shape for name, array in renamed.items()} == shapes
    written = write_names(next(naming for naming in namings if naming.name == naming_name), renamed)
    assert set(written) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(written[name], array, err_msg=name)


@pytest.mark.parametrize("number", range(5))
def test_what_is_written_in_either_naming_is_read_back(number):
    config = find_tower(f"efficientnet-lite{number}").config
    shapes = efficientnet.parameter_shapes(config)
    drawn = draw_torch_state(shapes)
    for naming in efficientnet.namings(config):
        found = read_names(efficientnet.namings(config), write_names(naming, drawn), shapes)
        assert set(found) == set(drawn), naming.name
        assert all((found[name] == array).all() for name, array in drawn.items()), naming.name


# timm's results/results-imagenet.csv, in millions, with the classifier of 1,000 classes.
@pytest.mark.parametrize(("number", "published"), list(enumerate([4.65, 5.42, 6.09, 8.20, 13.01])))
def test_parameter_counts_are_the_published_ones(number, published):
    config = find_tower(f"efficientnet-lite{number}").config
    shapes = efficientnet.parameter_shapes(config)
    count = sum(math.prod(shape) for name, shape in shapes.items() if not efficientnet.is_statistic(name))
    assert abs(count + 1000 * (1280 + 1) - published * 1e6) <= 0.005e6


@pytest.mark.parametrize(
    ("number", "size", "short_side", "method"),
    [
        (0, 224, 256, "bicubic"),
        (1, 240, 272, "bicubic"),
        (2, 260, 292, "bicubic"),
        (3, 300, 331, "bilinear"),
        (4, 380, 413, "bilinear"),
    ],
)
def test_timms_preprocessing_is_its_own(number, size, short_side, method):
    """Sides are those of its pretrained configurations: the resolution by the share that is cut out, rounded down."""
    entry = find_tower(f"timm/tf_efficientnet_lite{number}.in1k")
    found = entry.preprocessing
    assert (found.size, found.resize_size, found.method) == (size, short_side, method)
    assert (found.resize, found.crop, found.resampler, found.value_range) == (
        "short_side",
        "central",
        "pillow",
        Scale(),
    )
    assert entry.config.resolution == size
    assert entry.weights == f"hf://timm/tf_efficientnet_lite{number}.in1k/model.safetensors"
