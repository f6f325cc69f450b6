"""MLP-Mixer against its paper's equations in NumPy float64; its files' names, read and written; published counts."""

import dataclasses
import math

import jax
import numpy as np
import pytest
import safetensors.numpy
import scipy.special

from lit_precompute.towers.image.mixer.config import parameter_shapes
from lit_precompute.towers.image.mixer.naming import namings
from lit_precompute.towers.image.mixer.published import ENTRIES
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Scale
from lit_precompute.towers.registry import find_tower, register, tower_names
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from tests.oracles.drawing import draw, draw_images
from tests.towers.parity import assert_parity, cosines

# (patch, patches along a side, width, depth, hidden width over patches, over channels)
SIZES = {
    "mixer_s32": (32, 7, 512, 8, 256, 2048),
    "mixer_s16": (16, 14, 512, 8, 256, 2048),
    "small": (16, 5, 96, 3, 48, 384),
}


def _shapes(size):
    """Returns the shapes of a published `.npz` with its classifier; source: vision_transformer's models_mixer.py."""
    patch, grid, width, depth, over_patches, over_channels = SIZES[size]
    shapes = {"stem/kernel": (patch, patch, 3, width), "stem/bias": (width,)}
    for number in range(depth):
        block = f"MixerBlock_{number}"
        for norm in ("LayerNorm_0", "LayerNorm_1"):
            shapes |= {f"{block}/{norm}/scale": (width,), f"{block}/{norm}/bias": (width,)}
        for part, length, hidden in (("token", grid * grid, over_patches), ("channel", width, over_channels)):
            first, second = f"{block}/{part}_mixing/Dense_0", f"{block}/{part}_mixing/Dense_1"
            shapes |= {f"{first}/kernel": (length, hidden), f"{first}/bias": (hidden,)}
            shapes |= {f"{second}/kernel": (hidden, length), f"{second}/bias": (length,)}
    shapes |= {"pre_head_layer_norm/scale": (width,), "pre_head_layer_norm/bias": (width,)}
    return shapes | {"head/kernel": (width, 10), "head/bias": (10,)}


def _draw_file(size):
    """Returns the weights of such a file: activations keep a deviation near 1."""
    weights = {}
    for name, shape in _shapes(size).items():
        values = draw(name, shape)
        if name.endswith("kernel"):
            values *= np.float32(math.prod(shape[:-1]) ** -0.5)
        else:
            values = values / 10 + np.float32(name.endswith("scale"))
        weights[name] = values
    return weights


def _small_name(published="mixer_b16"):
    """Registers a small tower with all else of a published one, and returns its name."""
    name = f"test-{published}"
    if name not in tower_names():
        entry = find_tower(published)
        _, grid, width, depth, over_patches, over_channels = SIZES["small"]
        sizes = {"width": width, "depth": depth, "token_width": over_patches, "channel_width": over_channels}
        config = dataclasses.replace(entry.config, grid=grid, resolution=grid * 16, **sizes)
        register(name, dataclasses.replace(entry, config=config))
    return name


# --- numbers -------------------------------------------------------------------------------------------------------


def _float64_mixer(file, images, gelu):
    """Returns the paper's equations (1), on [channels, patches] as it writes them, and the mean that it classifies."""
    weight = {name: value.astype(np.float64) for name, value in file.items()}
    patch = weight["stem/kernel"].shape[0]
    grid = images.shape[1] // patch
    depth = len({name.split("/")[0] for name in weight if name.startswith("MixerBlock")})

    def normalise(table, name):
        """Each patch's column to mean 0 and variance 1."""
        deviation = np.sqrt(table.var(axis=0) + 1e-6)
        scale, shift = weight[f"{name}/scale"], weight[f"{name}/bias"]
        return (table - table.mean(axis=0)) / deviation * scale[:, None] + shift[:, None]

    embeddings = []
    for image in images.astype(np.float64):
        x = np.zeros((weight["stem/bias"].size, grid * grid))
        for row in range(grid):
            for column in range(grid):
                piece = image[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
                x[:, row * grid + column] = np.einsum("abc,abcw->w", piece, weight["stem/kernel"]) + weight["stem/bias"]
        for number in range(depth):
            block = f"MixerBlock_{number}"
            w1, w2, w3, w4 = (
                (
                    weight[f"{block}/{part}_mixing/Dense_{layer}/kernel"],
                    weight[f"{block}/{part}_mixing/Dense_{layer}/bias"],
                )
                for part in ("token", "channel")
                for layer in (0, 1)
            )
            hidden = gelu(np.einsum("cs,sh->ch", normalise(x, f"{block}/LayerNorm_0"), w1[0]) + w1[1])
            u = x + np.einsum("ch,hs->cs", hidden, w2[0]) + w2[1]
            hidden = gelu(np.einsum("cs,ch->hs", normalise(u, f"{block}/LayerNorm_1"), w3[0]) + w3[1][:, None])
            x = u + np.einsum("hs,hc->cs", hidden, w4[0]) + w4[1][:, None]
        embeddings.append(normalise(x, "pre_head_layer_norm").mean(axis=1))
    return np.stack(embeddings)


def _tanh_gelu(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _exact_gelu(x):
    return x / 2 * (1 + scipy.special.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("name", ["mixer_s32", "mixer_s16"])
def test_matches_float64_numpy(tmp_path, name):
    """Float32 sums of up to 2,048 terms, eight blocks deep: 1e-4 of the largest value leaves room for their order."""
    file, images = _draw_file(name), draw_images(name, 2, 224)
    np.savez(tmp_path / "file.npz", **file)
    expected = _float64_mixer(file, images, _tanh_gelu)
    assert_parity(load_tower(name, str(tmp_path / "file.npz")), images, expected)
    tower = load_tower(name, str(tmp_path / "file.npz"), compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images))
    assert found.dtype == np.float32
    assert (cosines(found, expected) >= 0.999).all()


def test_timms_copies_have_the_exact_gelu(tmp_path):
    """The tolerance is below the difference between the two forms of GELU."""
    file, images = _draw_file("small"), draw_images("timm", 2, 80)
    safetensors.numpy.save_file(_as_timm(file), tmp_path / "model.safetensors")
    name = _small_name("timm/mixer_b16_224.goog_in21k")
    tower = load_tower(name, str(tmp_path / "model.safetensors"))
    expected, other = (_float64_mixer(file, images, gelu) for gelu in (_exact_gelu, _tanh_gelu))
    assert np.abs(expected - other).max() > 1e-5 * np.abs(expected).max()
    assert_parity(tower, images, expected, 1e-5)


# --- files ---------------------------------------------------------------------------------------------------------


def _as_older(file, second_norm="LayerNorm_2", lone_axes=False):
    """Returns the arrays in the layout that big_vision's `load` turns into the present one."""
    older = {}
    for name, value in file.items():
        layer, _, field = name.rpartition("/")
        if layer == "stem":
            older[f"embedding/{field}"] = value
        elif layer == "pre_head_layer_norm":
            older[f"Mixer/encoder_norm/{field}"] = value
        elif layer == "head":
            older[name] = value
        else:
            block, *inside = layer.split("/")
            prefix = f"Mixer/encoderblock_{block.removeprefix('MixerBlock_')}"
            if inside[0].startswith("LayerNorm"):
                older[f"{prefix}/{inside[0].replace('LayerNorm_1', second_norm)}/{field}"] = value
            else:
                place = 1 + int(inside[1].removeprefix("Dense_"))
                older[f"{prefix}/{inside[0]}_phase_0/{field}{place}"] = value[None] if lone_axes else value
    return older


def _as_timm(file):
    """Returns the arrays under the names of timm's `MlpMixer`, in torch's layout."""
    layers = {"stem": "stem.proj", "pre_head_layer_norm": "norm", "head": "head"}
    layers |= {"LayerNorm_0": "norm1", "LayerNorm_1": "norm2"}
    layers |= {f"{part}_mixing/Dense_{n}": f"mlp_{part}s.fc{n + 1}" for part in ("token", "channel") for n in (0, 1)}
    timm = {}
    for name, value in file.items():
        layer, _, field = name.rpartition("/")
        block, _, inside = layer.partition("/")
        theirs = f"blocks.{block.removeprefix('MixerBlock_')}.{layers[inside]}" if inside else layers[layer]
        turned = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        timm[f"{theirs}.{'bias' if field == 'bias' else 'weight'}"] = np.ascontiguousarray(turned)
    return timm


LAYOUTS = {
    "big_vision": lambda file: file,
    "big_vision before Linen, LayerNorm_1": lambda file: _as_older(file, "LayerNorm_1"),
    "big_vision before Linen, LayerNorm_2": lambda file: _as_older(file, "LayerNorm_2"),
    "timm": _as_timm,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_round_trip_to_the_bit(layout):
    arrays = LAYOUTS[layout](_draw_file("small"))
    config = find_tower(_small_name()).config
    renamed = read_names(namings(config), arrays, parameter_shapes(config))
    naming = next(naming for naming in namings(config) if naming.name == layout)
    written = write_names(naming, renamed)
    expected = {name: array for name, array in arrays.items() if not name.startswith("head")}
    assert set(written) == set(expected)
    for name, array in expected.items():
        assert written[name].dtype == array.dtype, name
        np.testing.assert_array_equal(written[name], array, err_msg=name)


def test_every_layout_and_format_is_the_same_tower(tmp_path):
    file = _draw_file("small")
    arrays = {layout: relabel(file) for layout, relabel in LAYOUTS.items()}
    arrays["axes of length one"] = _as_older(file, lone_axes=True)
    arrays["optimiser state"] = {f"opt/target/{name}": value for name, value in file.items()} | {"opt/state/step": 7}
    arrays["two towers"] = {f"params/img/{name}": value for name, value in file.items()} | {"params/t": np.zeros(1)}
    fingerprints = {}
    for layout, named in arrays.items():
        np.savez(tmp_path / "file.npz", **named)
        fingerprints[layout] = load_tower(_small_name(), str(tmp_path / "file.npz")).fingerprint()
    safetensors.numpy.save_file(_as_timm(file), tmp_path / "model.safetensors")
    fingerprints["safetensors"] = load_tower(_small_name(), str(tmp_path / "model.safetensors")).fingerprint()
    assert len(set(fingerprints.values())) == 1, fingerprints
    changed = file | {"MixerBlock_1/token_mixing/Dense_1/bias": file["MixerBlock_1/token_mixing/Dense_1/bias"] + 1}
    np.savez(tmp_path / "file.npz", **changed)
    assert load_tower(_small_name(), str(tmp_path / "file.npz")).fingerprint() not in fingerprints.values()


def test_a_wrong_file_names_what_is_missing_extra_and_misshapen(tmp_path):
    file = _draw_file("small")
    file["MixerBlock_0/token_mixing/Dense_0/kernel"] = np.zeros((36, 48), np.float32)  # of six patches along a side
    file["MixerBlock_3/LayerNorm_0/scale"] = np.zeros(96, np.float32)
    del file["pre_head_layer_norm/bias"]
    np.savez(tmp_path / "file.npz", **file)
    with pytest.raises(WeightsError) as caught:
        load_tower(_small_name(), str(tmp_path / "file.npz"))
    said = str(caught.value)
    assert "1 parameter missing:\n  pre_head_layer_norm/bias (96)" in said
    assert "1 parameter not expected:\n  MixerBlock_3/LayerNorm_0/scale (96)" in said
    assert "MixerBlock_0/token_mixing/Dense_0/kernel: the file has (36, 48), the tower needs (25, 48)" in said


@pytest.mark.parametrize("resolution", [112, 225, 384])
def test_another_resolution_is_refused(tmp_path, resolution):
    with pytest.raises(ValueError, match=rf"resolution must be 224, got {resolution}.* 14 x 14 .*choose a ViT"):
        load_tower("mixer_b16", str(tmp_path / "none.npz"), resolution=resolution)


# --- what is published ---------------------------------------------------------------------------------------------

# The paper's table 1, in millions.
TABLE_1 = {"s32": 19, "s16": 18, "b32": 60, "b16": 59, "l32": 206, "l16": 207, "h14": 431}
# name: (parameters, how far ours may be), both without the classifier of 1,000 classes that is published with them.
# Exact: vision_transformer's models_test.py. To 5,000: timm's table of results. S/8: its file has 78.79 MiB, of which
# the headers of the zip are some 40 KiB.
COUNTS = {
    "mixer_s32": (19.10e6 - 513_000, 5_000),
    "mixer_s16": (18.53e6 - 513_000, 5_000),
    "mixer_s8-gsam_in1k": (78.79 * 2**20 / 4 - 513_000, 15_000),
    "mixer_b32": (60_293_428 - 769_000, 0),
    "mixer_b16": (59_880_472 - 769_000, 0),
    "mixer_l32": (206.94e6 - 1_025_000, 5_000),
    "mixer_l16": (208_196_168 - 1_025_000, 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(name):
    published, tolerance = COUNTS[name]
    shapes = parameter_shapes(find_tower(name).config)
    assert abs(sum(map(math.prod, shapes.values())) - published) <= tolerance


@pytest.mark.parametrize("size", TABLE_1)
def test_parameter_counts_round_to_the_papers(size):
    shapes = parameter_shapes(find_tower(f"mixer_{size}").config)
    assert round(sum(map(math.prod, shapes.values())) / 1e6) == TABLE_1[size]


def test_published_files_and_what_they_expect_of_images():
    published = {name: find_tower(name) for name in ENTRIES}
    places = {entry.weights for entry in published.values() if entry.weights.startswith("https")}
    folder = "https://storage.googleapis.com/mixer_models"
    assert {f"{folder}/imagenet21k/Mixer-L_16.npz", f"{folder}/sam/Mixer-B_32.npz"} < places
    assert len(places) == 11
    for name, entry in published.items():
        data = entry.preprocessing
        assert entry.config.resolution == data.size == 224
        assert (data.resize_size, data.crop) == ((256, "central") if name.startswith("timm/") else (224, "none"))
        assert data.value_range == Scale(low=0 if "miil" in name else -1)
        assert entry.config.activation == ("exact" if name.startswith("timm/") else "tanh")
