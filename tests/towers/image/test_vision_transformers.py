"""Vision Transformers as they are published: DINO, DINOv2, SigLIP and CLIP against transformers, MoCo-v3 against NumPy
in float64; and their files' names, read and written.
"""

import dataclasses
import math

import jax
import numpy as np
import pytest
import safetensors.numpy
import scipy.special

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image import vit
from lit_precompute.towers.image.vit.published import variant
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import find_tower, register, tower_names
from lit_precompute.towers.weights.naming import read_names, write_names
from lit_precompute.towers.weights.reading import read_weights
from tests.oracles import hugging_face
from tests.oracles import vit as vit_oracle
from tests.oracles.drawing import draw_images, draw_torch_state
from tests.towers.parity import assert_parity, cosines, golden

# The published tower that each file is a small one of; sizes apart, its configuration is what is tested.
PUBLISHED = {
    "dino": "facebook/dino-vitb16",
    "dinov2": "facebook/dinov2-base",
    "dinov2-swiglu": "facebook/dinov2-giant",
    "dinov2-registers": "facebook/dinov2-with-registers-base",
    "siglip": "google/siglip-base-patch16-224",
    "clip": "openai/clip-vit-base-patch16",
    "clip-gelu": "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
}
SMALL = {"width": 96, "depth": 3, "num_heads": 3}
POOLINGS = {"siglip": ["map"], "clip": ["class_token", "projection"], "clip-gelu": ["class_token", "projection"]}


def _small_name(file):
    """Registers the small tower of a file, and returns its name."""
    name = f"test-{file}"
    if name not in tower_names():
        entry = find_tower(PUBLISHED[file])
        fields = SMALL | {"mlp_width": 256 if file == "dinov2-swiglu" else 384, "resolution": 224}
        if entry.config.projection_width:
            fields["projection_width"] = 48
        config = dataclasses.replace(entry.config, **fields)
        register(name, dataclasses.replace(entry, config=config))
    return name


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for file in PUBLISHED:
        safetensors.numpy.save_file(hugging_face.draw_file(file), folder / f"{file}.safetensors")
    return folder


@pytest.mark.parametrize("case", [case for case, (file, _) in hugging_face.CASES.items() if file in PUBLISHED])
def test_matches_transformers(files, case):
    file, side = hugging_face.CASES[case]
    images = draw_images(case, hugging_face.NUM_IMAGES, side)
    for pooling in POOLINGS.get(file, ["class_token", "average"]):
        tower = load_tower(_small_name(file), str(files / f"{file}.safetensors"), resolution=side, pooling=pooling)
        assert_parity(tower, images, golden("hugging_face", f"{case} {pooling}"))


@pytest.mark.parametrize("case", [case for case in hugging_face.CASES if case.startswith("dinov2")])
def test_class_token_and_average_are_joined(files, case):
    """As in DINOv2's linear probes: transformers' two poolings, joined by hand."""
    file, side = hugging_face.CASES[case]
    path, images = str(files / f"{file}.safetensors"), draw_images(case, hugging_face.NUM_IMAGES, side)
    joined = load_tower(_small_name(file), path, resolution=side, pooling="class_token+average")
    parts = [golden("hugging_face", f"{case} {pooling}") for pooling in ("class_token", "average")]
    assert_parity(joined, images, np.concatenate(parts, axis=1))
    alone = load_tower(_small_name(file), path, resolution=side, pooling="class_token")
    assert joined.output_width == joined.card().output_width == 2 * alone.output_width
    assert joined.card().model_identity != alone.card().model_identity
    assert joined.fingerprint() != alone.fingerprint()


def test_class_token_and_average_need_a_class_token(files):
    with pytest.raises(ValueError, match="needs a class token"):
        load_tower(_small_name("siglip"), str(files / "siglip.safetensors"), pooling="class_token+average")


@pytest.mark.parametrize("file", PUBLISHED)
@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_bfloat16_points_the_same_way(files, file):
    case, (_, side) = next((case, value) for case, value in hugging_face.CASES.items() if value[0] == file)
    pooling = POOLINGS.get(file, ["class_token"])[-1]
    path = str(files / f"{file}.safetensors")
    tower = load_tower(_small_name(file), path, resolution=side, pooling=pooling, compute_type="bfloat16")
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), draw_images(case, 2, side)))
    assert (cosines(found, golden("hugging_face", f"{case} {pooling}")) >= 0.999).all()


# --- names ---------------------------------------------------------------------------------------------------------


def _assert_round_trip(config, arrays, naming_name, *, left_out=()):
    """Reads a file's arrays, writes them in the naming of that name, and compares every one to the bit."""
    shapes = vit.FAMILY.parameter_shapes(config)
    namings = vit.FAMILY.namings(config)
    renamed = read_names(namings, arrays, shapes)
    naming = next(naming for naming in namings if naming.name == naming_name)
    written = write_names(naming, renamed)
    expected = {name: array for name, array in arrays.items() if not name.startswith(left_out)}
    assert set(written) == set(expected)
    for name, array in expected.items():
        assert written[name].dtype == array.dtype, name
        np.testing.assert_array_equal(written[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("file", "naming", "pooling", "left_out"),
    [
        ("dino", "Hugging Face ViT", "pre_logits", ()),
        ("dino", "Hugging Face ViT", "class_token", ("pooler",)),
        ("dinov2", "Hugging Face DINOv2", "class_token", ("embeddings.mask_token",)),
        ("dinov2-swiglu", "Hugging Face DINOv2", "class_token", ("embeddings.mask_token",)),
        ("dinov2-registers", "Hugging Face DINOv2", "average", ("embeddings.mask_token",)),
        ("siglip", "Hugging Face SigLIP", "map", ("text_model", "logit")),
        ("clip", "Hugging Face CLIP", "projection", ("text_", "logit")),
    ],
)
def test_hugging_face_names_round_trip_to_the_bit(file, naming, pooling, left_out):
    entry = find_tower(_small_name(file))
    side = hugging_face.FILES[file][2][0]
    config = dataclasses.replace(entry.config, resolution=side, pooling=pooling)
    _assert_round_trip(config, hugging_face.draw_file(file), naming, left_out=left_out)


def _as_timm(arrays):
    """Returns a Hugging Face ViT's arrays as timm has them: one array for query, key and value."""
    timm = {
        "cls_token": arrays["embeddings.cls_token"],
        "pos_embed": arrays["embeddings.position_embeddings"],
        "head.weight": np.zeros((10, 96), np.float32),
        "head.bias": np.zeros(10, np.float32),
    }
    for field in ("weight", "bias"):
        timm[f"patch_embed.proj.{field}"] = arrays[f"embeddings.patch_embeddings.projection.{field}"]
        timm[f"norm.{field}"] = arrays[f"layernorm.{field}"]
        for number in range(3):
            theirs, ours = f"encoder.layer.{number}", f"blocks.{number}"
            attention = [arrays[f"{theirs}.attention.attention.{part}.{field}"] for part in ("query", "key", "value")]
            timm[f"{ours}.attn.qkv.{field}"] = np.concatenate(attention)
            timm[f"{ours}.attn.proj.{field}"] = arrays[f"{theirs}.attention.output.dense.{field}"]
            timm[f"{ours}.norm1.{field}"] = arrays[f"{theirs}.layernorm_before.{field}"]
            timm[f"{ours}.norm2.{field}"] = arrays[f"{theirs}.layernorm_after.{field}"]
            timm[f"{ours}.mlp.fc1.{field}"] = arrays[f"{theirs}.intermediate.dense.{field}"]
            timm[f"{ours}.mlp.fc2.{field}"] = arrays[f"{theirs}.output.dense.{field}"]
    return timm


def _as_open_clip(arrays):
    """Returns a Hugging Face CLIP's arrays as OpenAI and OpenCLIP have them, both towers in one file."""
    plain = {name.removeprefix("vision_model."): array for name, array in arrays.items()}
    found = {
        "visual.class_embedding": plain["embeddings.class_embedding"],
        "visual.positional_embedding": plain["embeddings.position_embedding.weight"],
        "visual.conv1.weight": plain["embeddings.patch_embedding.weight"],
        "visual.proj": np.ascontiguousarray(plain["visual_projection.weight"].T),
        "token_embedding.weight": np.zeros((9, 32), np.float32),
        "logit_scale": np.zeros((), np.float32),
    }
    for field in ("weight", "bias"):
        found[f"visual.ln_pre.{field}"] = plain[f"pre_layrnorm.{field}"]
        found[f"visual.ln_post.{field}"] = plain[f"post_layernorm.{field}"]
        for number in range(3):
            theirs, ours = f"encoder.layers.{number}", f"visual.transformer.resblocks.{number}"
            attention = [plain[f"{theirs}.self_attn.{part}_proj.{field}"] for part in "qkv"]
            found[f"{ours}.attn.in_proj_{field}"] = np.concatenate(attention)
            found[f"{ours}.attn.out_proj.{field}"] = plain[f"{theirs}.self_attn.out_proj.{field}"]
            found[f"{ours}.ln_1.{field}"] = plain[f"{theirs}.layer_norm1.{field}"]
            found[f"{ours}.ln_2.{field}"] = plain[f"{theirs}.layer_norm2.{field}"]
            found[f"{ours}.mlp.c_fc.{field}"] = plain[f"{theirs}.mlp.fc1.{field}"]
            found[f"{ours}.mlp.c_proj.{field}"] = plain[f"{theirs}.mlp.fc2.{field}"]
    return found


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.module."])
@pytest.mark.parametrize("file", ["dino", "clip"])
def test_a_file_of_a_wrapped_model_is_the_same_tower(tmp_path, files, file, wrapper):
    arrays = hugging_face.draw_file(file)
    np.savez(tmp_path / "wrapped.npz", **{f"{wrapper}{name}": array for name, array in arrays.items()})
    name, side = _small_name(file), hugging_face.FILES[file][2][0]
    given = load_tower(name, str(files / f"{file}.safetensors"), resolution=side)
    assert load_tower(name, str(tmp_path / "wrapped.npz"), resolution=side).fingerprint() == given.fingerprint()


@pytest.mark.parametrize(
    ("file", "relabel", "naming"),
    [
        ("dino", _as_timm, "timm"),
        ("clip", _as_open_clip, "OpenAI and OpenCLIP"),
    ],
)
def test_other_namings_of_the_same_weights_are_the_same_tower(tmp_path, files, file, relabel, naming):
    arrays = relabel(hugging_face.draw_file(file))
    np.savez(tmp_path / "other.npz", **arrays)
    name = _small_name(file)
    side = hugging_face.FILES[file][2][0]
    given = load_tower(name, str(files / f"{file}.safetensors"), resolution=side)
    other = load_tower(name, str(tmp_path / "other.npz"), resolution=side)
    assert given.fingerprint() == other.fingerprint()
    config = dataclasses.replace(find_tower(name).config, resolution=side)
    inside = {key.removeprefix("visual."): array for key, array in arrays.items()}
    if file == "clip":
        inside = {key.removeprefix("visual."): array for key, array in arrays.items() if key.startswith("visual.")}
    _assert_round_trip(config, inside, naming, left_out=("head.",))


@pytest.mark.parametrize("pooling", ["average", "map"])
def test_big_vision_names_round_trip_to_the_bit(pooling):
    arrays = vit_oracle.draw_big_vision("ti16-224")
    config = variant("ti", 16, pooling=pooling, class_token=False)
    left_out = () if pooling == "map" else ("MAPHead_0",)
    _assert_round_trip(config, arrays, "big_vision, present blocks", left_out=left_out)
    token = {"cls": np.full((1, 1, 192), 0.25, np.float32)}
    config = dataclasses.replace(config, class_token=True)
    _assert_round_trip(config, arrays | token, "big_vision with a class token, present blocks", left_out=left_out)
    blocks = [name for name in arrays if name.startswith("Transformer/encoderblock_0/")]
    scanned = {name: array for name, array in arrays.items() if "encoderblock_" not in name}
    for name in blocks:
        rows = [arrays[name.replace("_0/", f"_{number}/", 1)] for number in range(12)]
        scanned[name.replace("encoderblock_0/", "encoderblock/", 1)] = np.stack(rows)
    _assert_round_trip(config, scanned | token, "big_vision with a class token, scanned blocks", left_out=left_out)


def test_a_scanned_file_of_another_depth_is_refused(tmp_path):
    arrays = vit_oracle.draw_big_vision("ti16-224")
    stacked = {name: array for name, array in arrays.items() if "encoderblock_" not in name}
    for name in [name for name in arrays if name.startswith("Transformer/encoderblock_0/")]:
        stacked[name.replace("encoderblock_0/", "encoderblock/", 1)] = np.stack([arrays[name]] * 24)
    np.savez(tmp_path / "deep.npz", **stacked)
    with pytest.raises(ValueError, match=r"parameters not expected:\n  Transformer/encoderblock/"):
        load_tower("vit_ti16", str(tmp_path / "deep.npz"), pooling="map")


# --- MoCo-v3 -------------------------------------------------------------------------------------------------------


def _moco_shapes():
    """Returns the shapes of a small MoCo-v3 ViT under its file's names."""
    width, hidden, patch = 96, 384, 16
    shapes = {"cls_token": (1, 1, width), "patch_embed.proj.weight": (width, 3, patch, patch)}
    shapes |= {"patch_embed.proj.bias": (width,), "norm.weight": (width,), "norm.bias": (width,)}
    for number in range(3):
        linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        linear |= {"mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
        for layer, shape in linear.items():
            shapes |= {f"blocks.{number}.{layer}.weight": shape, f"blocks.{number}.{layer}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{number}.{norm}.weight": (width,), f"blocks.{number}.{norm}.bias": (width,)}
    return shapes


def _moco_positions(grid, width):
    """Returns MoCo-v3's table as its paper has it: sines and cosines of the row, then of the column."""
    table = np.zeros((1, 1 + grid * grid, width))
    quarter = width // 4
    for row in range(grid):
        for column in range(grid):
            for number in range(quarter):
                frequency = 1 / 10_000 ** (number / quarter)
                values = table[0, 1 + row * grid + column]
                values[number], values[quarter + number] = math.sin(row * frequency), math.cos(row * frequency)
                values[2 * quarter + number] = math.sin(column * frequency)
                values[3 * quarter + number] = math.cos(column * frequency)
    return table


def _float64_vit(state, positions, images, num_heads):
    """Returns the class token after the last norm: a ViT with exact GELU and epsilon 1e-6, in NumPy float64."""
    state = {name: value.astype(np.float64) for name, value in state.items()}
    patch = state["patch_embed.proj.weight"].shape[-1]
    grid = images.shape[1] // patch

    def linear(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    pieces = images.astype(np.float64).reshape(len(images), grid, patch, grid, patch, 3)
    tokens = np.einsum("nyaxbc,wcab->nyxw", pieces, state["patch_embed.proj.weight"]) + state["patch_embed.proj.bias"]
    tokens = tokens.reshape(len(images), grid * grid, -1)
    tokens = np.concatenate([np.repeat(state["cls_token"], len(images), 0), tokens], 1) + positions
    for number in range(3):
        block = f"blocks.{number}"
        query, key, value = np.split(linear(f"{block}.attn.qkv", norm(f"{block}.norm1", tokens)), 3, axis=-1)
        heads = [x.reshape(*x.shape[:2], num_heads, -1).transpose(0, 2, 1, 3) for x in (query, key, value)]
        scores = scipy.special.softmax(heads[0] @ heads[1].swapaxes(-1, -2) / math.sqrt(heads[0].shape[-1]), axis=-1)
        attended = (scores @ heads[2]).transpose(0, 2, 1, 3).reshape(tokens.shape)
        tokens = tokens + linear(f"{block}.attn.proj", attended)
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", tokens))
        hidden = hidden * (1 + scipy.special.erf(hidden / math.sqrt(2))) / 2
        tokens = tokens + linear(f"{block}.mlp.fc2", hidden)
    return norm("norm", tokens)[:, 0]


@pytest.mark.parametrize("side", [80, 112])
def test_moco_v3_matches_float64_numpy(tmp_path, side):
    """At the file's resolution and at another one, where the sines are computed for the new grid."""
    state = draw_torch_state(_moco_shapes())
    encoder = state | {"pos_embed": _moco_positions(5, 96).astype(np.float32)}
    file = {f"module.base_encoder.{name}": value for name, value in encoder.items()}
    file |= {f"module.momentum_encoder.{name}": value + 1 for name, value in encoder.items()}
    file |= {"module.base_encoder.head.0.weight": np.zeros((8, 96), np.float32)}
    np.savez(tmp_path / "moco.npz", **file)
    name = "test-moco"
    if name not in tower_names():
        entry = find_tower("mocov3_vits16")
        config = dataclasses.replace(entry.config, **(SMALL | {"num_heads": 12, "mlp_width": 384}))
        register(name, dataclasses.replace(entry, config=config))
    tower = load_tower(name, str(tmp_path / "moco.npz"), resolution=side)
    images = draw_images("moco", 2, side)
    assert_parity(tower, images, _float64_vit(state, _moco_positions(side // 16, 96), images, 12), 1e-5)


def test_big_visions_sines_stand_in_for_missing_positions(tmp_path):
    """Its models with sine positions keep no table: columns before rows, frequencies up to the last inclusive."""
    arrays = vit_oracle.draw_big_vision("ti16-224")
    del arrays["pos_embedding"]
    np.savez(tmp_path / "sines.npz", **arrays)
    if "test-sines" not in tower_names():
        config = variant("ti", 16, pooling="map", positions="sine")
        register("test-sines", Entry(family=vit.FAMILY, config=config, preprocessing=Preprocessing(size=224)))
    table = load_tower("test-sines", str(tmp_path / "sines.npz"), resolution=64).parameters["pos_embedding"]
    quarter = 48
    expected = np.zeros((16, 192))
    for place in range(16):
        for part, (position, function) in enumerate(
            [(place % 4, np.sin), (place % 4, np.cos), (place // 4, np.sin), (place // 4, np.cos)]
        ):
            frequencies = 1 / 10_000 ** (np.arange(quarter) / (quarter - 1))
            expected[place, part * quarter : (part + 1) * quarter] = function(position * frequencies)
    np.testing.assert_allclose(table[0], expected, atol=1e-6)


def test_a_projection_is_lits_image_head(tmp_path):
    """The image side of a two-tower file with a linear head on both sides."""
    arrays = vit_oracle.draw_big_vision("ti16-224")
    arrays = {name: value for name, value in arrays.items() if not name.startswith("MAPHead")}
    arrays |= {"cls": np.full((1, 1, 192), 0.25, np.float32)}
    arrays |= draw_torch_state({"head/kernel": (192, 40), "head/bias": (40,)})
    whole = {f"img/{name}": value for name, value in arrays.items()}
    whole |= {"txt/head/kernel": np.zeros((8, 40), np.float32), "t": np.zeros(1, np.float32)}
    np.savez(tmp_path / "lit.npz", **whole)
    if "test-lit" not in tower_names():
        entry = find_tower("lit-b16b")
        fields = {"width": 192, "mlp_width": 768, "num_heads": 3, "projection_width": 40}
        register("test-lit", dataclasses.replace(entry, config=dataclasses.replace(entry.config, **fields)))
    images = draw_images("lit", 2, 224)
    tower = load_tower("test-lit", str(tmp_path / "lit.npz"))
    token = load_tower("test-lit", str(tmp_path / "lit.npz"), pooling="class_token")
    features = np.asarray(jax.jit(token.apply)(dict(token.parameters), images), np.float64)
    assert_parity(tower, images, features @ arrays["head/kernel"] + arrays["head/bias"], 1e-5)
    assert read_weights(str(tmp_path / "lit.npz")).keys() == whole.keys()
