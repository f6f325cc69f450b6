"""ConvNeXt and ConvNeXt V2 against transformers (goldens made by tests/oracles), their files and published counts."""

import dataclasses
import math
import re

import jax
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.image import convnext
from lit_precompute.towers.image.convnext.published import ENTRIES, SIZES, variant
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import IMAGENET_RANGE
from lit_precompute.towers.registry import find_tower, register, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles import hugging_face
from tests.oracles.drawing import draw_images, draw_torch_state
from tests.towers.parity import assert_parity, cosines, golden

# The published tower that each file is a small one of.
PUBLISHED = {"convnext": "facebook/convnext-tiny-224", "convnextv2": "facebook/convnextv2-tiny-1k-224"}
CASES = [case for case, (file, _) in hugging_face.CASES.items() if file in PUBLISHED]
POOLINGS = ("average", "average_unnormed")


def _small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        entry = find_tower(PUBLISHED[file])
        config = dataclasses.replace(entry.config, widths=(32, 64, 96, 128), depths=(2, 2, 3, 2))
        register(name, dataclasses.replace(entry, config=config))
    return name


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for file in PUBLISHED:
        safetensors.numpy.save_file(hugging_face.draw_file(file), folder / f"{file}.safetensors")
    return folder


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("case", CASES)
def test_matches_transformers(files, case, pooling):
    file, side = hugging_face.CASES[case]
    tower = load_tower(_small_name(file), str(files / f"{file}.safetensors"), resolution=side, pooling=pooling)
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    assert_parity(tower, images, golden("hugging_face", f"{case} {pooling}"))


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_points_the_same_way(files, case):
    file, side = hugging_face.CASES[case]
    path = str(files / f"{file}.safetensors")
    tower = load_tower(_small_name(file), path, resolution=side, compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), draw_images(case, 2, side)))
    assert found.dtype == np.float32
    assert (cosines(found, golden("hugging_face", f"{case} average")) >= 0.999).all()


# --- names ---------------------------------------------------------------------------------------------------------

# Parts of Hugging Face's names: the authors'.
_AUTHORS = (
    (r"^embeddings\.patch_embeddings", "downsample_layers.0.0"),
    (r"^embeddings\.layernorm", "downsample_layers.0.1"),
    (r"^encoder\.stages\.(\d)\.downsampling_layer", r"downsample_layers.\1"),
    (r"^encoder\.stages\.(\d)\.layers", r"stages.\1"),
    (r"layernorm", "norm"),
    (r"layer_scale_parameter", "gamma"),
    (r"grn\.weight", "grn.gamma"),
    (r"grn\.bias", "grn.beta"),
    (r"^classifier", "head"),
)
# And in timm's, from the authors'.
_TIMM = (
    (r"^downsample_layers\.0", "stem"),
    (r"^stages\.(\d)\.(\d)", r"stages.\1.blocks.\2"),
    (r"^downsample_layers\.(\d)\.(\d)", r"stages.\1.downsample.\2"),
    (r"dwconv", "conv_dw"),
    (r"pwconv", "mlp.fc"),
    (r"grn\.gamma", "mlp.grn.weight"),
    (r"grn\.beta", "mlp.grn.bias"),
    (r"^head", "head.fc"),
    (r"^norm", "head.norm"),
)


def _renamed(arrays, rules):
    renamed = {}
    for name, array in arrays.items():
        for pattern, other in rules:
            name = re.sub(pattern, other, name)  # noqa: PLW2901
        renamed[name] = array
    return renamed


def _as_hugging_face(arrays):
    return {re.sub(r"^convnext(v2)?\.", "", name): array for name, array in arrays.items()}


def _as_authors(arrays):
    return _renamed(_as_hugging_face(arrays), _AUTHORS)


def _as_timm(arrays):
    """Returns timm's arrays: response norms are vectors, and small networks' 1x1 layers convolutions."""
    renamed = _renamed(_as_authors(arrays), _TIMM)
    for name, array in renamed.items():
        if "grn" in name:
            renamed[name] = array.reshape(-1)
        elif re.search(r"mlp\.fc\d\.weight", name) and renamed["stem.0.weight"].shape[0] <= 80:
            renamed[name] = array[:, :, None, None]
    return renamed


LAYOUTS = {
    "Hugging Face ConvNeXt": (_as_hugging_face, "classifier."),
    "ConvNeXt's authors": (_as_authors, "head."),
    "timm": (_as_timm, "head.fc."),
}


def _wide(arrays):
    """Returns a file of the same layers where the first stage has 96 channels, as timm's larger networks have."""
    shapes = {}
    for name, array in arrays.items():
        shapes[name] = tuple(length * 3 if length >= 32 else length for length in array.shape)
    return draw_torch_state(shapes)


@pytest.mark.parametrize("naming_name", LAYOUTS)
@pytest.mark.parametrize("first_width", [32, 96])
@pytest.mark.parametrize("file", PUBLISHED)
def test_names_round_trip_to_the_bit(file, first_width, naming_name):
    relabel, head = LAYOUTS[naming_name]
    arrays, config = hugging_face.draw_file(file), find_tower(_small_name(file)).config
    if first_width == 96:
        arrays = {k: v for k, v in _wide(arrays).items() if not k.startswith("classifier.")}
        config = dataclasses.replace(config, widths=tuple(3 * width for width in config.widths))
    arrays = relabel(arrays)
    shapes, namings = convnext.FAMILY.parameter_shapes(config), convnext.FAMILY.namings(config)
    renamed = read_names(namings, arrays, shapes)
    assert {name: array.shape for name, array in renamed.items()} == shapes
    written = write_names(next(naming for naming in namings if naming.name == naming_name), renamed)
    expected = {name: array for name, array in arrays.items() if not name.startswith(head)}
    assert set(written) == set(expected)
    for name, array in expected.items():
        assert written[name].dtype == array.dtype, name
        np.testing.assert_array_equal(written[name], array, err_msg=name)


@pytest.mark.parametrize("file", PUBLISHED)
def test_one_set_of_weights_is_one_tower_in_every_file(tmp_path, files, file):
    """Under the classifier's prefix and without it, in each naming, as safetensors and `.npz`."""
    arrays, name = hugging_face.draw_file(file), _small_name(file)
    fingerprints = {load_tower(name, str(files / f"{file}.safetensors")).fingerprint()}
    for number, layout in enumerate((dict, *(relabel for relabel, _ in LAYOUTS.values()))):
        np.savez(tmp_path / f"{number}.npz", **layout(arrays))
        fingerprints.add(load_tower(name, str(tmp_path / f"{number}.npz")).fingerprint())
    assert len(fingerprints) == 1
    other = load_tower(name, str(files / f"{file}.safetensors"), pooling="average_unnormed")
    assert other.fingerprint() not in fingerprints


def test_files_without_the_last_norm_have_only_the_unnormed_average(tmp_path, files):
    """As V2's self-supervised files are."""
    arrays, name = _as_timm(hugging_face.draw_file("convnextv2")), _small_name("convnextv2")
    np.savez(tmp_path / "fcmae.npz", **{key: value for key, value in arrays.items() if not key.startswith("head.")})
    given = load_tower(name, str(tmp_path / "fcmae.npz"), pooling="average_unnormed")
    whole = load_tower(name, str(files / "convnextv2.safetensors"), pooling="average_unnormed")
    assert given.fingerprint() == whole.fingerprint()
    with pytest.raises(WeightsError, match=r"2 parameters missing:\n  norm/scale \(128\)\n  norm/bias \(128\)"):
        load_tower(name, str(tmp_path / "fcmae.npz"))


def test_a_wrong_file_names_what_is_missing_extra_and_misshapen(tmp_path):
    arrays = hugging_face.draw_file("convnext")
    arrays["convnext.layernorm.weight"] = arrays["convnext.layernorm.weight"][:100]
    safetensors.numpy.save_file(arrays, tmp_path / "first.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_tower(_small_name("convnextv2"), str(tmp_path / "first.safetensors"))
    said = str(caught.value)
    assert "18 parameters missing:\n  stage_0/block_0/response_norm/scale (128)" in said
    assert "9 parameters not expected:\n" in said
    assert "  encoder.stages.0.layers.0.layer_scale_parameter (32)\n" in said
    assert "norm/scale: the file has (100), the tower needs (128)" in said


# --- what is published ---------------------------------------------------------------------------------------------

# With the classifier of 1,000 classes. To the last one: torchvision's `num_params`; else timm's table, in millions.
COUNTS = {
    "convnext_tiny": (28_589_128, 0),
    "convnext_small": (50_223_688, 0),
    "convnext_base": (88_591_464, 0),
    "convnext_large": (197_767_336, 0),
    "convnext_xlarge": (350.20e6, 0.005e6),
    "convnextv2_atto": (3.71e6, 0.005e6),
    "convnextv2_femto": (5.23e6, 0.005e6),
    "convnextv2_pico": (9.07e6, 0.005e6),
    "convnextv2_nano": (15.62e6, 0.005e6),
    "convnextv2_tiny": (28.64e6, 0.005e6),
    "convnextv2_base": (88.72e6, 0.005e6),
    "convnextv2_large": (197.96e6, 0.005e6),
    "convnextv2_huge": (660.29e6, 0.005e6),
}


@pytest.mark.parametrize("name", SIZES)
def test_parameter_counts_are_the_published_ones(name):
    config = find_tower(name).config
    count = sum(math.prod(shape) for shape in convnext.FAMILY.parameter_shapes(config).values())
    published, tolerance = COUNTS[name]
    assert abs(count + 1000 * (config.output_width + 1) - published) <= tolerance


def test_preprocessing_is_cropped_below_384_pixels_and_squeezed_from_there():
    small, large = (
        find_tower(name).preprocessing for name in ("facebook/convnext-base-224-22k", "facebook/convnext-base-384")
    )
    assert (small.size, small.resize, small.resize_size, small.crop) == (224, "short_side", 256, "central")
    assert (large.size, large.resize, large.resize_size, large.crop) == (384, "square", 384, "none")
    for preprocessing in (small, large):
        assert (preprocessing.method, preprocessing.resampler) == ("bicubic", "pillow")
        assert preprocessing.value_range == IMAGENET_RANGE


def test_names_lead_to_the_files_of_their_publishers():
    meta = "https://dl.fbaipublicfiles.com/convnext"
    for name, weights in {
        "convnext_tiny-1k_224": f"{meta}/convnext_tiny_1k_224_ema.pth",
        "convnext_base-1k_384": f"{meta}/convnext_base_1k_384.pth",
        "convnext_xlarge-22k_224": f"{meta}/convnext_xlarge_22k_224.pth",
        "convnext_xlarge-22k_1k_384": f"{meta}/convnext_xlarge_22k_1k_384_ema.pth",
        "convnextv2_huge-22k_512": f"{meta}/convnextv2/im22k/convnextv2_huge_22k_512_ema.pt",
        "facebook/convnext-large-384-22k-1k": "hf://facebook/convnext-large-384-22k-1k/model.safetensors",
        "timm/convnext_base.fb_in22k": "hf://timm/convnext_base.fb_in22k/model.safetensors",
        "timm/convnextv2_base.fcmae_ft_in22k_in1k_384": (
            "hf://timm/convnextv2_base.fcmae_ft_in22k_in1k_384/model.safetensors"
        ),
    }.items():
        assert find_tower(name).weights == weights
    assert all(entry.config.resolution == entry.preprocessing.size for entry in ENTRIES.values())
    # What Hugging Face has of the first version is what its conversion script knows: fifteen.
    assert sum(name.startswith("facebook/convnext-") for name in ENTRIES) == 15


def test_invalid_sizes_are_refused():
    with pytest.raises(ValueError, match=r"ConvNeXt: resolution must be >= 32, got 31"):
        variant("convnext_tiny", resolution=31)
    with pytest.raises(ValueError, match=r"ConvNeXt: pooling must be one of \['average', 'average_unnormed'\]"):
        variant("convnext_tiny", pooling="class_token")
    with pytest.raises(ValueError, match=r"every stage needs a width and a depth, got \(96,\) and \(3, 3\)"):
        variant("convnext_tiny", widths=(96,), depths=(3, 3))
