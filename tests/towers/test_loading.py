"""Towers against transformers and torch (goldens made by tests/oracles), published parameter counts, and positions."""

import dataclasses
import math

import jax
import numpy as np
import pytest
import safetensors.numpy
import scipy.ndimage

from lit_precompute.towers.image import efficientnet, vit
from lit_precompute.towers.image.vit.positions import resize_positions
from lit_precompute.towers.loading import load_tower, untrained_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.registry import find_tower, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from tests.oracles import efficientnet as efficientnet_oracle
from tests.oracles import vit as vit_oracle
from tests.oracles.drawing import draw_images
from tests.towers.parity import assert_parity, cosines, golden

TOWERS = {"ti16-224": "vit_ti16", "ti16-160": "vit_ti16", "s32-224": "vit_s32", "b16-224": "vit_b16"}


def _load_vit(tmp_path, case, pooling, **options):
    """Loads the case's weights from the kind of file they come in: Hugging Face's, or big_vision's."""
    name, resolution = TOWERS[case], vit_oracle.CASES[case][-1]
    if pooling in ("class_token", "pre_logits"):
        path = tmp_path / "model.safetensors"
        safetensors.numpy.save_file(vit_oracle.draw_hugging_face(case), path)
    else:
        path = tmp_path / "model.npz"
        np.savez(path, **vit_oracle.draw_big_vision(case))
        if pooling == "average":
            drawn = {k: v for k, v in vit_oracle.draw_big_vision(case).items() if not k.startswith("MAPHead")}
            np.savez(path, **drawn)
    return load_tower(name, str(path), resolution=resolution, pooling=pooling, **options)


@pytest.mark.parametrize("pooling", ["class_token", "average", "map", "pre_logits"])
@pytest.mark.parametrize("case", ["ti16-224", "ti16-160", "s32-224"])
def test_vit_matches_transformers(tmp_path, case, pooling):
    tower = _load_vit(tmp_path, case, pooling)
    images = draw_images(case, vit_oracle.NUM_IMAGES, vit_oracle.CASES[case][-1])
    assert_parity(tower, images, golden("vit", f"{case} {pooling}"))


@pytest.mark.slow
def test_vit_matches_transformers_at_base_size(tmp_path):
    tower = _load_vit(tmp_path, "b16-224", "class_token")
    assert_parity(tower, draw_images("b16-224", 2, 224), golden("vit", "b16-224 class_token"))


@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_bfloat16_points_the_same_way(tmp_path):
    tower = _load_vit(tmp_path, "ti16-224", "class_token", compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), draw_images("ti16-224", 2, 224)))
    expected = golden("vit", "ti16-224 class_token")
    assert found.dtype == np.float32
    assert (cosines(found, expected) >= 0.999).all()


@pytest.mark.parametrize("case", efficientnet_oracle.CASES)
def test_efficientnet_matches_a_torch_formula(tmp_path, case):
    resolution, published = efficientnet_oracle.CASES[case]
    path = efficientnet_oracle.published_file()
    if not published:
        path = tmp_path / "lite0.safetensors"
        safetensors.numpy.save_file(efficientnet_oracle.draw_file(), path)
    tower = load_tower("efficientnet-lite0", str(path), resolution=resolution)
    images = draw_images(case, efficientnet_oracle.NUM_IMAGES, resolution)
    assert_parity(tower, images, golden("efficientnet-lite0", f"{case} average"))


# big_vision's models/vit.py gives 85,797,888 for B/16; the others are its arithmetic on the sizes of arXiv:2106.04560,
# table 2, and of AugReg's; with timm's separate position of the class token each would have one width more.
@pytest.mark.parametrize(
    ("name", "published", "tolerance"),
    [
        ("vit_b16", 85_798_656, 0),
        ("vit_ti16", 5.5e6, 0.01),
        ("vit_s16", 21.7e6, 0.01),
        ("vit_l16", 303.3e6, 0.01),
        ("vit_h14", 630.8e6, 0.01),
        ("vit_g14", 1_011e6, 0.01),
        ("vit_G14", 1_843e6, 0.01),
        ("efficientnet-lite0", 4.7e6 - 1_281_000, 0.02),
    ],
)
def test_parameter_counts_are_the_published_ones(name, published, tolerance):
    entry = find_tower(name)
    shapes = entry.family.parameter_shapes(entry.config)
    count = sum(math.prod(shape) for key, shape in shapes.items() if not entry.family.is_statistic(key))
    assert abs(count - published) <= tolerance * published


@pytest.mark.parametrize(("old", "new"), [(14, 24), (24, 14), (7, 7), (14, 10), (2, 9)])
def test_positions_are_resized_as_big_vision_does(old, new):
    """Its call is scipy.ndimage.zoom with order 1 on the grid."""
    table = np.random.default_rng(0).standard_normal((1, old * old, 5)).astype(np.float32)
    expected = scipy.ndimage.zoom(table.reshape(old, old, 5), (new / old, new / old, 1), order=1)
    found = resize_positions(table, new)
    np.testing.assert_allclose(found, expected.reshape(1, new * new, 5), atol=1e-5)


def test_positions_fit_the_resolution_that_is_asked(tmp_path):
    np.savez(tmp_path / "w.npz", **vit_oracle.draw_big_vision("ti16-224"))
    small = load_tower("vit_ti16", str(tmp_path / "w.npz"), resolution=160, pooling="map")
    assert small.parameters["pos_embedding"].shape == (1, 100, 192)
    assert small.preprocessing.size == 160
    found = jax.jit(small.apply)(dict(small.parameters), draw_images("x", 1, 160))
    assert np.isfinite(np.asarray(found)).all()


def _old_names(drawn, *, positions_of_cls):
    """Returns the weights as AugReg's files have them: older names, positions inside, with the class token's row."""
    parts = {"LayerNorm_1": "LayerNorm_2", "MultiHeadDotProductAttention_0": "MultiHeadDotProductAttention_1"}
    parts["MlpBlock_0"] = "MlpBlock_3"
    old = {"head/kernel": np.zeros((192, 1000), np.float32), "head/bias": np.zeros(1000, np.float32)}
    for name, value in drawn.items():
        if name.startswith("MAPHead"):
            continue
        if "encoderblock" in name:
            name = "/".join(parts.get(part, part) for part in name.split("/"))  # noqa: PLW2901
        old[name] = value
    table = old.pop("pos_embedding")
    old["Transformer/posembed_input/pos_embedding"] = np.concatenate([positions_of_cls, table], axis=1)
    return old


def test_old_and_scanned_files_give_the_same_tower(tmp_path):
    """One set of weights in big_vision's present layout, its scanned one, AugReg's, and inside a two-tower file."""
    drawn = vit_oracle.draw_big_vision("ti16-224")
    plain = {name: value for name, value in drawn.items() if not name.startswith("MAPHead")}
    token = np.full((1, 1, 192), 0.25, np.float32)
    blocks = [name for name in plain if name.startswith("Transformer/encoderblock_0/")]
    scanned = {name: value for name, value in plain.items() if "encoderblock_" not in name}
    for name in blocks:
        rows = [plain[name.replace("_0/", f"_{number}/", 1)] for number in range(12)]
        scanned[name.replace("encoderblock_0/", "encoderblock/", 1)] = np.stack(rows)
    layouts = {
        "present": plain | {"cls": token},
        "scanned": scanned | {"cls": token},
        "augreg": _old_names(plain, positions_of_cls=np.zeros((1, 1, 192), np.float32)) | {"cls": token},
        "two towers": {f"params/img/{name}": value for name, value in (plain | {"cls": token}).items()}
        | {"params/txt/head/kernel": token, "params/t": np.zeros(1)},
    }
    fingerprints = set()
    for layout, arrays in layouts.items():
        path = tmp_path / f"{layout}.npz"
        np.savez(path, **arrays)
        fingerprints.add(load_tower("vit_ti16", str(path)).fingerprint())
    assert len(fingerprints) == 1


def test_a_wrong_file_names_what_is_missing_extra_and_misshapen(tmp_path):
    drawn = vit_oracle.draw_big_vision("ti16-224")
    drawn["MAPHead_0/probe"] = drawn["MAPHead_0/probe"][..., :100]
    drawn["something/else"] = np.zeros(3, np.float32)
    del drawn["Transformer/encoderblock_11/LayerNorm_0/scale"]
    np.savez(tmp_path / "w.npz", **drawn)
    with pytest.raises(WeightsError) as caught:
        load_tower("vit_ti16", str(tmp_path / "w.npz"), pooling="map")
    said = str(caught.value)
    assert "1 parameter missing:\n  Transformer/encoderblock_11/LayerNorm_0/scale (192)" in said
    assert "1 parameter not expected:\n  something/else (3)" in said
    assert "MAPHead_0/probe: the file has (1, 1, 100), the tower needs (1, 1, 192)" in said


def test_fingerprints_depend_on_weights_architecture_and_preprocessing_and_nothing_else(tmp_path):
    arrays = vit_oracle.draw_hugging_face("ti16-224")
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    (tmp_path / "elsewhere").mkdir()
    np.savez_compressed(tmp_path / "elsewhere/b.npz", **dict(reversed(arrays.items())))
    base = load_tower("vit_ti16", str(tmp_path / "a.safetensors"))
    same = load_tower("vit_ti16", str(tmp_path / "elsewhere/b.npz"))
    assert base.fingerprint() == same.fingerprint()
    changed = dict(arrays) | {"layernorm.bias": arrays["layernorm.bias"] + np.float32(1e-3)}
    safetensors.numpy.save_file(changed, tmp_path / "c.safetensors")
    others = [
        load_tower("vit_ti16", str(tmp_path / "c.safetensors")),
        load_tower("vit_ti16", str(tmp_path / "a.safetensors"), resolution=160),
        load_tower("vit_ti16", str(tmp_path / "a.safetensors"), pooling="pre_logits"),
        load_tower("vit_ti16", str(tmp_path / "a.safetensors"), compute_type="bfloat16"),
        dataclasses.replace(base, preprocessing=dataclasses.replace(base.preprocessing, antialias=True)),
    ]
    assert len({tower.fingerprint() for tower in [base, *others]}) == 6
    assert base.card().fingerprint == base.fingerprint()
    assert base.card().output_width == 192


def test_unknown_names_and_choices_are_refused(tmp_path):
    path = str(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="unknown tower 'vit_b61'; did you mean one of vit_b16"):
        load_tower("vit_b61", path)
    with pytest.raises(ValueError, match=r"pooling must be one of \['class_token'"):
        load_tower("vit_b16", path, pooling="middle")
    assert {"efficientnet-lite0", "vit_b16", "vit_G14"} <= set(tower_names())
    assert efficientnet.FAMILY.name != vit.FAMILY.name


def test_an_untrained_tower_has_the_shape_of_the_loaded_one():
    options = ImageTowerOptions(name="vit_ti16", resolution=32, pooling="average", compute_type="bfloat16")
    tower = untrained_tower(options)
    images = np.zeros((2, 32, 32, 3), np.float32)
    assert (tower.preprocessing.size, tower.pooling, tower.weights_sha256) == (32, "average", "")
    embeddings = np.asarray(tower.apply(tower.parameters, images))
    assert embeddings.shape == (2, tower.output_width)
    assert np.isfinite(embeddings).all()
    with pytest.raises(ValueError, match="pooling must be one of"):
        untrained_tower(ImageTowerOptions(name="vit_ti16", pooling="none of these"))
