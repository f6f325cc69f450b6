"""The names of DINOv3's files: Hugging Face's, the authors' and timm's, read and written; timm's against timm."""

import re

import numpy as np
import pytest

from lit_precompute.towers.image import convnext, dinov3
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.registry import find_tower
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles import dinov3 as oracle
from tests.oracles import hugging_face
from tests.oracles.drawing import draw_images
from tests.towers.image.small_dinov3 import CONFIGS, VITS, load_small, small_name
from tests.towers.parity import assert_parity, golden


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def _as_modules(arrays):
    """Returns the names of transformers' modules, which it does not save."""
    return {re.sub(r"^(layer|stages)\.", r"model.\1.", name): array for name, array in arrays.items()}


def _renamed(arrays, rules):
    renamed = {}
    for name, array in arrays.items():
        for pattern, other in rules:
            name = re.sub(pattern, other, name)  # noqa: PLW2901
        renamed[name] = array
    return renamed


def _as_authors(arrays):
    """Returns the authors' arrays, with what only training uses and with tables that are computed."""
    found = oracle.authors_names(arrays)
    if "blocks.0.attn.qkv.bias" in found:
        for number in range(2):
            found[f"blocks.{number}.attn.qkv.bias_mask"] = np.repeat(np.float32([1, 0, 1]), 96)
    found |= {"local_cls_norm.weight": np.ones(96, np.float32), "local_cls_norm.bias": np.zeros(96, np.float32)}
    return found | {"rope_embed.periods": np.ones(8, np.float32)}


_TIMM = (
    (r"^storage_tokens", "reg_token"),
    (r"ls(\d)\.gamma", r"gamma_\1"),
    (r"mlp\.w1", "mlp.fc1_g"),
    (r"mlp\.w2", "mlp.fc1_x"),
    (r"mlp\.w3", "mlp.fc2"),
)


def _as_timm(arrays):
    """Returns timm's arrays, which have biases of queries and values of their own."""
    found = {}
    for name, array in _renamed(oracle.authors_names(arrays), _TIMM).items():
        if name.endswith("qkv.bias"):
            query, _, value = np.split(array, 3)
            found |= {name.replace("qkv.bias", "q_bias"): query, name.replace("qkv.bias", "v_bias"): value}
        elif name != "mask_token":
            found[name] = array
    return found


LAYOUTS = {"Hugging Face DINOv3": dict, "DINOv3's authors": _as_authors, "timm": _as_timm}
OF_TRAINING = re.compile(r"(embeddings\.)?mask_token|local_cls_norm\..*|rope_embed\.periods|.*bias_mask")


def _assert_round_trip(family, config, arrays, naming_name, left_out):
    namings = family.namings(config)
    renamed = read_names(namings, arrays, family.parameter_shapes(config))
    written = write_names(next(naming for naming in namings if naming.name == naming_name), renamed)
    expected = {name: array for name, array in arrays.items() if not left_out.fullmatch(name)}
    assert set(written) == set(expected)
    for name, array in expected.items():
        assert written[name].dtype == array.dtype, name
        np.testing.assert_array_equal(written[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("file", "naming"),
    [(file, naming) for file in VITS for naming in LAYOUTS if (file, naming) != ("dinov3-other", "timm")],
)
def test_names_round_trip_to_the_bit(file, naming):
    arrays = LAYOUTS[naming](hugging_face.draw_file(file))
    _assert_round_trip(dinov3.FAMILY, find_tower(small_name(file)).config, arrays, naming, OF_TRAINING)


@pytest.mark.parametrize("case", oracle.TIMM_CASES)
def test_matches_timm_with_timms_names(tmp_path, case):
    """timm made its model of the authors' names."""
    file, side = oracle.TIMM_CASES[case]
    arrays = _as_timm(hugging_face.draw_file(file))
    assert {name: [*array.shape] for name, array in arrays.items()} == CONFIGS["timm"][file]
    np.savez(tmp_path / "timm.npz", **arrays)
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    for pooling in ("average", "class_token"):
        tower = load_tower(small_name(file), str(tmp_path / "timm.npz"), resolution=side, pooling=pooling)
        assert_parity(tower, images, golden("dinov3", f"{case} {pooling}"))


@pytest.mark.parametrize("file", VITS)
def test_one_set_of_weights_is_one_tower_in_every_file(tmp_path, files, file):
    arrays, name = hugging_face.draw_file(file), small_name(file)
    fingerprints = {load_small(files, file).fingerprint()}
    # timm has no biases of keys.
    layouts = [_as_modules, _as_authors, *([_as_timm] if file != "dinov3-other" else [])]
    for number, layout in enumerate(layouts):
        np.savez(tmp_path / f"{number}.npz", **layout(arrays))
        fingerprints.add(load_tower(name, str(tmp_path / f"{number}.npz")).fingerprint())
    assert len(fingerprints) == 1


def test_a_bias_of_keys_that_the_tower_lacks_is_refused(tmp_path):
    arrays = _as_authors(hugging_face.draw_file("dinov3"))
    arrays["blocks.1.attn.qkv.bias"][100] = 0.5
    np.savez(tmp_path / "keys.npz", **arrays)
    with pytest.raises(WeightsError, match=r"1 parameter not expected:\n  .*encoderblock_1/.*/key/bias \(96\)"):
        load_tower(small_name("dinov3"), str(tmp_path / "keys.npz"))


def test_a_file_with_a_gated_mlp_is_not_one_without(files):
    load_small(files, "dinov3-gated")
    with pytest.raises(WeightsError, match=r"mlp.gate_proj.weight \(128, 96\)"):
        load_tower(small_name("dinov3"), str(files / "dinov3-gated.safetensors"))


_CONVNEXT_AUTHORS = (
    (r"^stages\.(\d)\.downsample_layers", r"downsample_layers.\1"),
    (r"^stages\.(\d)\.layers", r"stages.\1"),
    (r"depthwise_conv", "dwconv"),
    (r"pointwise_conv", "pwconv"),
    (r"layer_norm", "norm"),
)


def test_a_convnexts_names_round_trip_to_the_bit():
    arrays, config = hugging_face.draw_file("dinov3-convnext"), find_tower(small_name("dinov3-convnext")).config
    nothing = re.compile("(?!)")
    _assert_round_trip(convnext.FAMILY, config, arrays, "Hugging Face DINOv3 ConvNeXt", nothing)
    _assert_round_trip(convnext.FAMILY, config, _renamed(arrays, _CONVNEXT_AUTHORS), "ConvNeXt's authors", nothing)


def test_a_convnexts_weights_are_one_tower_in_every_file(tmp_path, files):
    arrays, name = hugging_face.draw_file("dinov3-convnext"), small_name("dinov3-convnext")
    authors = _renamed(arrays, _CONVNEXT_AUTHORS)
    twice = authors | {f"norms.3.{field}": authors[f"norm.{field}"] for field in ("weight", "bias")}
    for number, layout in enumerate((_as_modules(arrays), authors, twice)):
        np.savez(tmp_path / f"{number}.npz", **layout)
        assert load_tower(name, str(tmp_path / f"{number}.npz")).fingerprint() == (
            load_small(files, "dinov3-convnext").fingerprint()
        )
