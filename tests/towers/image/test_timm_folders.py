"""Folders that timm wrote, against timm (goldens made by tests/oracles/timm_folders.py), and what is refused."""

import copy
import dataclasses
import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.towers.image import eva
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.registry import find_tower, resolve_tower
from lit_precompute.towers.weights.naming import write_names
from tests.oracles import timm_folders
from tests.oracles.drawing import draw_torch_state

DESCRIBED = json.loads(timm_folders.DESCRIBED.read_text(encoding="utf-8"))


def _write(folder, config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


def _draw_file(entry):
    """Returns the weights that the oracle drew for a tower, with a classifier of seven."""
    zeros = {name: np.zeros(shape) for name, shape in entry.family.parameter_shapes(entry.config).items()}
    naming = next(naming for naming in entry.family.namings(entry.config) if naming.name == "timm")
    shapes = {name: array.shape for name, array in write_names(naming, zeros).items()}
    width = entry.config.output_width
    return draw_torch_state({**shapes, "head.weight": (7, width), "head.bias": (7,)})


@pytest.mark.parametrize("case", timm_folders.FINE_TUNED)
def test_a_fine_tuned_models_folder_is_the_tower_that_timm_reads_there(tmp_path, case):
    """From an image to its embedding, with the network, the weights and the transform of the folder."""
    folder = _write(tmp_path / "folder", DESCRIBED["fine_tuned"][case])
    safetensors.numpy.save_file(_draw_file(find_tower(folder)), tmp_path / "folder" / "model.safetensors")
    tower = load_tower(folder)
    assert tower.name == folder
    table = tower.preprocessing.value_range.table()
    prepared = prepare(timm_folders.odd_image(), tower.preprocessing)
    values = table[prepared, range(3)] if table.shape[1] == 3 else table[prepared, 0]
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), values[None]))
    expected = np.load(timm_folders.EMBEDDINGS)[case]
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", DESCRIBED["published"])
def test_timms_own_files_describe_the_registered_entry(tmp_path, name):
    described, entry = find_tower(_write(tmp_path / "folder", DESCRIBED["published"][name])), find_tower(f"timm/{name}")
    assert described.family is entry.family
    expected = entry.preprocessing
    if entry.family is not eva.FAMILY and expected.crop == "central":
        # Registered before there was torchvision's crop; their fingerprints stay.
        expected = dataclasses.replace(expected, crop="central_rounded")
    assert (described.config, described.preprocessing) == (entry.config, expected)
    assert described.weights == str(tmp_path / "folder")


def test_a_repository_in_the_cache_is_a_tower(tmp_path, own_cache):
    by_hand = own_cache / "huggingface.co" / "somebody" / "fine-tuned" / "main"
    by_hand.parent.mkdir(parents=True)
    _write(by_hand, DESCRIBED["fine_tuned"]["vit"])
    name, entry = resolve_tower("hf_hub:somebody/fine-tuned")
    assert (name, entry.weights, entry.config.width) == ("somebody/fine-tuned", "hf://somebody/fine-tuned", 192)


def test_files_of_older_versions_have_all_in_one_object(tmp_path):
    config = DESCRIBED["published"]["mixer_b16_224.goog_in21k"]
    older = {"architecture": config["architecture"], "num_features": 768, "labels": ["a"], **config["pretrained_cfg"]}
    found, entry = find_tower(_write(tmp_path / "folder", older)), find_tower("timm/mixer_b16_224.goog_in21k")
    expected = dataclasses.replace(entry.preprocessing, crop="central_rounded")
    assert (found.config, found.preprocessing) == (entry.config, expected)


@pytest.mark.parametrize(
    ("name", "pooling"),
    [("eva02_base_patch16_clip_224.merged2b", "class_token"), ("vit_pe_core_base_patch16_224.fb", "map")],
)
def test_a_classifier_in_a_projections_place_is_none(tmp_path, name, pooling):
    config = find_tower(_write(tmp_path / "folder", _changed(name, model_args={"num_classes": 7}))).config
    assert (config.pooling, config.output_width) == (pooling, 768)


def test_a_self_supervised_tag_has_the_network_of_its_classifiers(tmp_path):
    """The tag of what it was fine-tuned from, which has no last norm, stays in the file."""
    config = _changed("convnextv2_atto.fcmae_ft_in1k", "pretrained_cfg", tag="fcmae")
    assert find_tower(_write(tmp_path / "folder", config)).config.pooling == "average"


def test_images_are_as_large_as_the_network_takes(tmp_path):
    """`img_size` is the size where it is fixed; a network that takes any has that of `input_size`."""
    vit = _changed("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "model_args", img_size=[160, 160])
    found = find_tower(_write(tmp_path / "fixed", vit))
    assert (found.config.resolution, found.preprocessing.size, found.preprocessing.resize_size) == (160, 160, 177)
    vit["model_args"]["dynamic_img_size"] = True
    assert find_tower(_write(tmp_path / "dynamic", vit)).config.resolution == 224


def _changed(name, part="", **fields):
    config = copy.deepcopy(DESCRIBED["published"][name])
    (config[part] if part else config).update(fields)
    return config


_VIT = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            _changed(_VIT, architecture="vit_tiny_r_s16_p8_224"),
            r"architecture must be that of a tower .*'vit_tiny_r_s16",
        ),
        (_changed(_VIT, architecture=["vit_tiny"]), r"architecture must be that of a tower"),
        (_changed(_VIT, qk_norm=True), r"config.json: qk_norm is not known, and may change"),
        (_changed(_VIT, "model_args", qk_norm=True), r"config.json: model_args: qk_norm is not known, and may change"),
        (_changed(_VIT, "pretrained_cfg", blur=2), r"config.json: pretrained_cfg: blur is not known, and may change"),
        (_changed(_VIT, global_pool="avg"), r"global_pool must be 'token', got 'avg'"),
        (_changed(_VIT, "model_args", global_pool="avg"), r"model_args: global_pool must be 'token', got 'avg'"),
        (_changed(_VIT, "model_args", in_chans=1), r"in_chans must be 3, got 1"),
        (_changed(_VIT, "model_args", img_size=[160, 224]), r"img_size must be the side of a square, got \[160, 224\]"),
        (_changed(_VIT, "model_args", img_size=0), r"img_size must be the side of a square, got 0"),
        (_changed(_VIT, "pretrained_cfg", input_size=[1, 224, 224]), r"input_size must be \[3, side, side\]"),
        (_changed(_VIT, "pretrained_cfg", input_size=[3, 224, 160]), r"input_size must be \[3, side, side\]"),
        (_changed(_VIT, "pretrained_cfg", interpolation="random"), r"interpolation must be 'bilinear' or 'bicubic'"),
        (_changed(_VIT, "pretrained_cfg", crop_mode="border"), r"crop_mode must be 'center' or 'squash', got 'border'"),
        (_changed(_VIT, "pretrained_cfg", crop_pct=1.5), r"crop_pct must be a share of at most 1, got 1.5"),
        (_changed(_VIT, "pretrained_cfg", mean=[0.5]), r"mean must be one number or three, got \[0.5\]"),
        (_changed(_VIT, "pretrained_cfg", std=[0, 0, 0]), r"config.json: pretrained_cfg: .*deviation must be > 0"),
        (_changed(_VIT, pretrained_cfg=3), r"pretrained_cfg must be an object, got 3"),
        (
            _changed(_VIT, "model_args", img_size=[8, 8]),
            r"config.json: ViT: resolution must be >= patch_size 16, got 8",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, config, words):
    with pytest.raises(ValueError, match=words):
        resolve_tower(_write(tmp_path / "folder", config))
