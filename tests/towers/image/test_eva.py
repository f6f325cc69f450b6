"""EVA-02 and Perception Encoder against timm, and their files' names, read and written."""

import dataclasses
import math

import jax
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.image import eva
from lit_precompute.towers.image.eva.positions import angles
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import CLIP_RANGE, Scale
from lit_precompute.towers.registry import find_tower, register, resolve_tower, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles import eva as oracle
from tests.oracles.drawing import draw_images
from tests.towers.parity import GOLDEN, assert_parity, cosines, golden

# The published tower that each file is a small one of; sizes apart, its configuration is what is tested.
PUBLISHED = {
    "eva02-joined": "timm/eva02_tiny_patch14_224.mim_in22k",
    "eva02": "timm/eva02_base_patch14_224.mim_in22k",
    "eva02-clip": "timm/eva02_base_patch16_clip_224.merged2b",
    "eva02-after": "timm/eva02_enormous_patch14_clip_224.laion2b_plus",
    "pe": "timm/vit_pe_core_base_patch16_224.fb",
    "pe-no-token": "timm/vit_pe_core_gigantic_patch14_448.fb",
    "pe-authors": "facebook/PE-Core-B16-224",
    "pe-authors-no-token": "facebook/PE-Core-G14-448",
}
SMALL = {"width": 96, "depth": 2, "num_heads": 3}


def _small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        entry = find_tower(PUBLISHED[file])
        fields = SMALL | {"mlp_width": 256 if entry.config.activation == "swiglu" else 384, "resolution": 224}
        if entry.config.projection_width:
            fields["projection_width"] = 48
        register(name, dataclasses.replace(entry, config=dataclasses.replace(entry.config, **fields)))
    return name


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for file in PUBLISHED:
        draw = oracle.draw_authors_file if file.startswith("pe-authors") else oracle.draw_file
        safetensors.numpy.save_file(draw(file), folder / f"{file}.safetensors")
    return folder


def _poolings(case):
    with np.load(GOLDEN / "eva.npz") as arrays:
        return [name.split(" ")[1] for name in arrays if name.split(" ")[0] == case]


@pytest.mark.parametrize("case", oracle.CASES)
def test_matches_timm(files, case):
    file, side = oracle.CASES[case]
    images = draw_images(case, oracle.NUM_IMAGES, side)
    poolings = _poolings(case)
    assert find_tower(PUBLISHED[file]).config.pooling in poolings
    for pooling in poolings:
        tower = load_tower(_small_name(file), str(files / f"{file}.safetensors"), resolution=side, pooling=pooling)
        assert_parity(tower, images, golden("eva", f"{case} {pooling}"))


@pytest.mark.parametrize("file", PUBLISHED)
@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_bfloat16_points_the_same_way(files, file):
    case, (_, side) = next((case, value) for case, value in oracle.CASES.items() if value[0] == file)
    path, pooling = str(files / f"{file}.safetensors"), find_tower(PUBLISHED[file]).config.pooling
    tower = load_tower(_small_name(file), path, resolution=side, compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), draw_images(case, 2, side)))
    assert (cosines(found, golden("eva", f"{case} {pooling}")) >= 0.999).all()


def test_where_rows_and_columns_are_counted():
    """EVA-02 scales them to the grid of its training, rows first; the authors of PE count from 1, columns first."""
    eva02 = dataclasses.replace(find_tower(PUBLISHED["eva02"]).config, resolution=14 * 4, rotary_grid=8)
    turned = angles(eva02)
    assert turned.shape == (16, 32)
    np.testing.assert_allclose(turned[:, 0], np.repeat([0, 2, 4, 6], 4))
    np.testing.assert_allclose(turned[:, 16], np.tile([0, 2, 4, 6], 4))
    perception = dataclasses.replace(find_tower(PUBLISHED["pe-authors"]).config, resolution=16 * 4)
    turned = angles(perception)
    np.testing.assert_allclose(turned[:, 0], np.tile([1, 2, 3, 4], 4))
    np.testing.assert_allclose(turned[:, 16], np.repeat([1, 2, 3, 4], 4))


# --- names ---------------------------------------------------------------------------------------------------------


def _config(file, **fields):
    side = oracle.FILES[file].sides[0]
    return dataclasses.replace(find_tower(_small_name(file)).config, resolution=side, **fields)


def _assert_round_trip(config, arrays, naming_name):
    """Reads a file's arrays, writes them in the naming of that name, and compares every one to the bit."""
    namings = eva.FAMILY.namings(config)
    renamed = read_names(namings, arrays, eva.FAMILY.parameter_shapes(config))
    written = write_names(next(naming for naming in namings if naming.name == naming_name), renamed)
    assert set(written) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(written[name], array, err_msg=name)


@pytest.mark.parametrize("file", [file for file in PUBLISHED if not file.startswith("pe-authors")])
def test_timms_names_round_trip_to_the_bit(file):
    _assert_round_trip(_config(file), oracle.draw_file(file), "timm")


@pytest.mark.parametrize("file", [file for file in PUBLISHED if file.startswith("pe-authors")])
def test_perception_encoders_names_round_trip_to_the_bit(file):
    arrays = oracle.draw_authors_file(file)
    image_side = {name.removeprefix("visual."): array for name, array in arrays.items() if name.startswith("visual.")}
    _assert_round_trip(_config(file), image_side, "Perception Encoder")
    tower = eva.FAMILY.tower(_config(file))
    assert {*tower.write_parameters(tower.read_parameters(arrays, "file"))} == {*image_side}


@pytest.mark.parametrize("file", [file for file in PUBLISHED if file.startswith("eva02")])
def test_the_authors_files_are_the_same_towers(tmp_path, files, file):
    safetensors.numpy.save_file(oracle.draw_authors_file(file), tmp_path / "authors.safetensors")
    authors = load_tower(_small_name(file), str(tmp_path / "authors.safetensors"), resolution=112)
    timms = load_tower(_small_name(file), str(files / f"{file}.safetensors"), resolution=112)
    assert authors.weights_sha256 == timms.weights_sha256
    assert authors.fingerprint() == timms.fingerprint()


@pytest.mark.parametrize("file", ["eva02-clip", "pe"])
def test_open_clips_files_are_the_same_towers(tmp_path, files, file):
    arrays = {f"visual.trunk.{name}": array for name, array in oracle.draw_file(file).items()}
    arrays["text.token_embedding.weight"] = np.zeros((9, 32), np.float32)
    safetensors.numpy.save_file(arrays, tmp_path / "open_clip_model.safetensors")
    both = load_tower(_small_name(file), str(tmp_path / "open_clip_model.safetensors"))
    assert both.fingerprint() == load_tower(_small_name(file), str(files / f"{file}.safetensors")).fingerprint()


@pytest.mark.parametrize("pooling", ["average", "map"])
def test_without_the_projection_either_publishers_file_is_the_same_tower(tmp_path, files, pooling):
    safetensors.numpy.save_file(oracle.draw_file("pe-authors"), tmp_path / "timm.safetensors")
    authors = load_tower(_small_name("pe-authors"), str(files / "pe-authors.safetensors"), pooling=pooling)
    timms = load_tower(_small_name("pe-authors"), str(tmp_path / "timm.safetensors"), pooling=pooling)
    assert authors.weights_sha256 == timms.weights_sha256


def test_timms_file_has_a_bias_that_the_authors_tower_has_not(files):
    with pytest.raises(WeightsError, match=r"head\.bias"):
        load_tower(_small_name("pe-authors"), str(files / "pe.safetensors"))


@pytest.mark.parametrize(
    ("file", "fields", "words"),
    [
        ("eva02", {"pooling": "pre_logits"}, "pooling must be one of"),
        ("eva02", {"pooling": "projection"}, "has no projection"),
        ("eva02", {"pooling": "map"}, "needs attention pooling"),
        ("pe-no-token", {"pooling": "class_token"}, "needs a class token"),
        ("eva02", {"num_heads": 5}, r"multiple of 4 \* num_heads, got 96 and 5"),
        ("eva02", {"resolution": 13}, "resolution must be >= patch_size 14, got 13"),
    ],
)
def test_what_a_tower_does_not_have(file, fields, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(find_tower(_small_name(file)).config, **fields)


# --- published -----------------------------------------------------------------------------------------------------

# Millions: timm's table of speed (results/benchmark-infer-amp-nchw-pt291-cu128-4090.csv), where the fine-tuned ones
# have a classifier of 1,000; of E/14 open_clip's docs/model_profile.csv.
COUNTS = {
    "timm/eva02_tiny_patch14_224.mim_in22k": 5.50,
    "timm/eva02_small_patch14_224.mim_in22k": 21.62,
    "timm/eva02_base_patch14_224.mim_in22k": 85.76,
    "timm/eva02_large_patch14_224.mim_in22k": 303.27,
    "timm/eva02_large_patch14_224.mim_m38m": 303.27,
    "timm/eva02_tiny_patch14_336.mim_in22k_ft_in1k": 5.76 - 0.193,
    "timm/eva02_small_patch14_336.mim_in22k_ft_in1k": 22.13 - 0.385,
    **{
        f"timm/eva02_base_patch14_448.{tag}": 87.12 - 0.769
        for tag in ("mim_in22k_ft_in1k", "mim_in22k_ft_in22k", "mim_in22k_ft_in22k_in1k")
    },
    **{
        f"timm/eva02_large_patch14_448.{data}_{tag}": 305.08 - 1.025
        for data in ("mim_in22k", "mim_m38m")
        for tag in ("ft_in1k", "ft_in22k", "ft_in22k_in1k")
    },
    "timm/eva02_base_patch16_clip_224.merged2b": 86.26,
    "timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k": 86.26,
    "timm/eva02_large_patch14_clip_224.merged2b": 304.11,
    "timm/eva02_large_patch14_clip_224.merged2b_s4b_b131k": 304.11,
    "timm/eva02_large_patch14_clip_336.merged2b": 304.43,
    "timm/eva02_large_patch14_clip_336.merged2b_s6b_b61k": 304.43,
    "timm/eva02_enormous_patch14_clip_224.laion2b": 4350.56,
    "timm/eva02_enormous_patch14_clip_224.laion2b_plus": 4350.56,
    "timm/eva02_enormous_patch14_clip_224.laion2b_s4b_b115k": 4350.56,
    "timm/eva02_enormous_patch14_plus_clip_224.laion2b_s9b_b144k": 4350.56,
    **dict.fromkeys(("timm/vit_pe_core_tiny_patch16_384.fb", "facebook/PE-Core-T16-384"), 6.14),
    **dict.fromkeys(("timm/vit_pe_core_small_patch16_384.fb", "facebook/PE-Core-S16-384"), 23.78),
    **dict.fromkeys(("timm/vit_pe_core_base_patch16_224.fb", "facebook/PE-Core-B16-224"), 93.67),
    **dict.fromkeys(("timm/vit_pe_core_large_patch14_336.fb", "facebook/PE-Core-L14-336"), 317.15),
    **dict.fromkeys(("timm/vit_pe_core_gigantic_patch14_448.fb", "facebook/PE-Core-G14-448"), 1882.03),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    entry = find_tower(name)
    count = sum(map(math.prod, entry.family.parameter_shapes(entry.config).values()))
    assert abs(count / 1e6 - COUNTS[name]) <= 0.00501


def test_every_tower_has_a_count():
    registered = {name for name in tower_names() if find_tower(name).family is eva.FAMILY}
    assert {name for name in registered if not name.startswith("test-")} == set(COUNTS)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("eva02_base_patch14_224.mim_in22k", "timm/eva02_base_patch14_224.mim_in22k"),
        ("EVA02-B-16/merged2b_s8b_b131k", "timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k"),
        ("EVA02-E-14-plus/laion2b_s9b_b144k", "timm/eva02_enormous_patch14_plus_clip_224.laion2b_s9b_b144k"),
        ("hf://facebook/PE-Core-L14-336", "facebook/PE-Core-L14-336"),
        ("PE-Core-bigG-14-448/meta", "facebook/PE-Core-G14-448"),
    ],
)
def test_other_names(name, same):
    assert resolve_tower(name)[0] == same


@pytest.mark.parametrize(
    ("name", "resize", "resize_size", "method", "values"),
    [
        ("timm/eva02_base_patch14_224.mim_in22k", "short_side", 248, "bicubic", CLIP_RANGE),
        ("timm/eva02_base_patch14_448.mim_in22k_ft_in1k", "short_side", 448, "bicubic", CLIP_RANGE),
        ("timm/eva02_base_patch14_448.mim_in22k_ft_in22k_in1k", "square", 448, "bicubic", CLIP_RANGE),
        ("timm/eva02_base_patch16_clip_224.merged2b", "short_side", 248, "bicubic", CLIP_RANGE),
        ("EVA02-B-16/merged2b_s8b_b131k", "short_side", 224, "bicubic", CLIP_RANGE),
        ("timm/vit_pe_core_large_patch14_336.fb", "short_side", 336, "bicubic", Scale()),
        ("facebook/PE-Core-L14-336", "square", 336, "bilinear", Scale()),
    ],
)
def test_preprocessing_is_the_publishers(name, resize, resize_size, method, values):
    found = find_tower(name).preprocessing
    assert (found.resize, found.resize_size, found.method, found.value_range) == (resize, resize_size, method, values)
    assert (found.resampler, found.jpeg) == ("pillow", "accurate")
