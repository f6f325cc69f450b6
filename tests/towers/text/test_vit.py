"""The text ViT against transformers' SiglipTextModel (goldens), its public names, and its errors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text import ViTTextOptions, make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.towers.weights.errors import WeightsError
from tests.oracles import text_tower as oracle

SMALL = ViTTextOptions(width=64, depth=3, num_heads=4, mlp_width=160)


def make_tower(name: str = "small", *, pooling="last", compute_type="float32") -> Tower:
    shape = dict(oracle.SHAPES[name])
    vocabulary_size, max_tokens = shape.pop("vocabulary_size"), shape.pop("max_tokens")
    return make_text_tower(
        ViTTextOptions(**shape, pooling=pooling),
        vocabulary=Vocabulary(vocabulary_size, end_id=1),
        max_tokens=max_tokens,
        output_width=oracle.OUTPUT_WIDTH[name],
        compute_type=compute_type,
    )


def initialise(tower: Tower, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns initial parameters under big_vision's names."""
    drawn = tower.initialise(jax.random.key(seed))
    return tower.write_parameters({name: np.asarray(value) for name, value in drawn.items()})


def oracle_parameters(tower: Tower, name: str = "small") -> dict[str, np.ndarray]:
    return tower.read_parameters(oracle.draw_parameters(name), "the oracle")


def check_parity(name: str, pooling):
    tower = make_tower(name, pooling=pooling)
    parameters = oracle_parameters(tower, name)
    with np.load(oracle.GOLDEN / f"{name}.npz") as golden:
        expected, tokens = golden[pooling], golden["tokens"]
    np.testing.assert_array_equal(tokens, oracle.draw_tokens(name))
    assert 0.1 < np.abs(expected).mean() < 10  # not all zeros, where any tower would agree
    outputs = np.asarray(jax.jit(tower.apply)(parameters, jnp.asarray(tokens)))
    assert outputs.dtype == np.float32
    # Relative to the embeddings' size: two orders of summing in float32, twelve blocks deep.
    assert np.abs(outputs - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("pooling", oracle.POOLINGS)
def test_matches_transformers(pooling):
    check_parity("small", pooling)


@pytest.mark.slow
def test_matches_transformers_at_the_papers_size():
    check_parity("base", "last")


def test_base_has_the_papers_parameters():
    assert sum(np.prod(shape) for shape in make_tower("base").parameter_shapes.values()) == 110_234_880


def test_every_parameter_has_its_public_name_and_shape():
    tower = make_tower()
    flat = initialise(tower)
    assert {name: value.shape for name, value in flat.items()} == oracle.parameter_shapes("small")
    assert len(flat) == len(tower.parameter_shapes)


def test_public_names_round_trip_to_the_bit():
    tower, flat = make_tower(), oracle.draw_parameters("small")
    for name, value in tower.write_parameters(oracle_parameters(tower)).items():
        np.testing.assert_array_equal(value, flat[name])


@pytest.mark.parametrize("root", ["", "params/txt/", "opt/target/"])
def test_reads_stacked_blocks_below_any_root(root):
    flat = oracle.draw_parameters("small")
    stacked = {name: value for name, value in flat.items() if "encoderblock_" not in name}
    for name in flat:
        if name.startswith("Encoder_0/encoderblock_0/"):
            parts = [flat[name.replace("encoderblock_0", f"encoderblock_{number}")] for number in range(SMALL.depth)]
            stacked[name.replace("encoderblock_0", "encoderblock")] = np.stack(parts)
    tower = make_tower()
    found = tower.read_parameters({root + name: value for name, value in stacked.items()}, "a file")
    for name, value in oracle_parameters(tower).items():
        np.testing.assert_array_equal(found[name], value)


def test_names_every_parameter_that_does_not_fit():
    flat = oracle.draw_parameters("small")
    flat["head/kernel"] = flat["head/kernel"][:, :5]
    del flat["pos_embedding"]
    flat["Encoder_0/more"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError) as refused:
        make_tower().read_parameters(flat, "a.npz")
    message = str(refused.value)
    assert "1 parameter missing:\n  position_embedding (1, 7, 64)" in message
    assert "1 parameter not expected:\n  Encoder_0/more (3)" in message
    assert "head/kernel: the file has (64, 5), the tower needs (64, 48)" in message


def test_initialisers_have_big_visions_scale():
    """Standard deviations of big_vision's initialisers, within 5 % where a thousand values and more are drawn."""
    flat = initialise(make_tower())
    width, hidden = SMALL.width, SMALL.mlp_width
    block = "Encoder_0/encoderblock_1"
    expected = {
        "Embed_0/embedding": width**-0.5,  # variance scaling over the features
        "pos_embedding": width**-0.5,
        f"{block}/MultiHeadDotProductAttention_0/query/kernel": (2 / (2 * width))
        ** 0.5,  # Xavier, heads taken together
        f"{block}/MultiHeadDotProductAttention_0/out/kernel": (2 / (2 * width)) ** 0.5,
        f"{block}/MlpBlock_0/Dense_0/kernel": (2 / (width + hidden)) ** 0.5,
        f"{block}/MlpBlock_0/Dense_1/kernel": (2 / (width + hidden)) ** 0.5,
        "head/kernel": width**-0.5,  # LeCun
    }
    for name, deviation in expected.items():
        assert flat[name].std() == pytest.approx(deviation, rel=0.12 if name == "pos_embedding" else 0.05), name
    for name, value in flat.items():
        if name.endswith("scale"):
            assert (value == 1).all(), name
        elif name.endswith("bias") and "Dense" in name:
            assert 0 < np.abs(value).max() < 1e-5, name
        elif name.endswith("bias"):
            assert (value == 0).all(), name


def test_the_seed_decides_the_parameters():
    first, again, other = (initialise(make_tower(), seed) for seed in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["head/kernel"], other["head/kernel"])


@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_bfloat16_is_close_and_keeps_float32_parameters_and_results():
    tokens = jnp.asarray(oracle.draw_tokens("small"))
    exact, rounded = make_tower(), make_tower(compute_type="bfloat16")
    parameters = oracle_parameters(exact)
    outputs, expected = (np.asarray(tower.apply(parameters, tokens)) for tower in (rounded, exact))
    assert outputs.dtype == np.float32
    assert all(value.dtype == np.float32 for value in initialise(rounded).values())
    error = np.abs(outputs - expected).max() / np.abs(expected).max()
    # bfloat16 keeps 8 bits: 2**-9 per rounding, a few dozen of them; and it must differ, or it was not used.
    assert 1e-4 < error < 0.05


def test_every_parameter_gets_a_gradient():
    """ "last" reads one position, yet every parameter acts on it but the embeddings of tokens that do not occur."""
    tower = make_tower()
    tokens = jnp.asarray(oracle.draw_tokens("small"))
    parameters = tower.initialise(jax.random.key(0))
    gradients = jax.grad(lambda parameters: jnp.sum(jnp.sin(tower.apply(parameters, tokens))))(parameters)
    assert gradients.keys() == tower.parameter_shapes.keys()
    for name, gradient in gradients.items():
        # A key's bias shifts all scores of a query alike, which softmax ignores.
        if name.endswith("key/bias"):
            assert np.abs(gradient).max() < 1e-4
        else:
            assert np.abs(gradient).max() > 1e-4, name
        assert np.isfinite(gradient).all(), name


def test_refuses_rows_of_another_length():
    with pytest.raises(ValueError, match=r"tokens must be \[n, 7\] for this tower, got \[2, 8\]"):
        tower = make_tower()
        tower.apply(oracle_parameters(tower), jnp.zeros((2, 8), jnp.int32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, r"depth must be in \[1, 128\], got 0"),
        ({"num_heads": 3}, "num_heads must divide the width: width 64, num_heads 3"),
        ({"pooling": "map"}, "pooling must be"),
    ],
)
def test_refuses_impossible_options(change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **change)
