"""T5's encoder against transformers' T5EncoderModel, MT5EncoderModel and UMT5EncoderModel (goldens), and T5's traps."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.text.t5.positions import distance_buckets
from tests.oracles import t5 as oracle
from tests.oracles.drawing import draw
from tests.towers.parity import cosines
from tests.towers.text.t5.making import file_parameters, file_tower, golden

pytestmark = pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
FAST = ("t5-11", "mt5-11")
TINY = oracle.BIN_FILE


def case_of(case):
    return pytest.param(case, marks=[] if case in FAST else pytest.mark.slow)


def run(tower, parameters, tokens):
    return np.asarray(jax.jit(tower.apply)(parameters, jnp.asarray(tokens)))


def embed(case, pooling, **options):
    """Returns the oracle's texts of a case, embedded; `options` are of `file_tower`."""
    file, length = oracle.CASES[case]
    tower = file_tower(file, pooling=pooling, **options)
    return run(tower, file_parameters(tower, file), oracle.draw_tokens(file, length))


def assert_close(found, expected, tolerance=1e-4):
    """Compares relative to the vectors' size."""
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert (
        np.abs(expected[0] - expected[1]).max() > 0.1 * np.abs(expected).max()
    )  # texts differ, or any constant would do
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("case", [case_of(case) for case in oracle.CASES])
def test_matches_transformers_with_padding(case):
    """Rows are whole, cut, of one piece, padded at their start, and of the end token alone."""
    assert_close(embed(case, "average"), golden(case, "average"))


@pytest.mark.parametrize("pooling", oracle.POOLINGS)
@pytest.mark.parametrize("case", ["t5-11", case_of("umt5-200")])
def test_poolings_match_transformers(case, pooling):
    assert_close(embed(case, pooling), golden(case, pooling))


@pytest.mark.parametrize("case", [case_of(case) for case in oracle.CASES])
def test_bfloat16_keeps_the_cosine(case):
    rounded = embed(case, "average", compute_type="bfloat16")
    assert rounded.dtype == np.float32
    expected = golden(case, "average")
    assert (cosines(rounded, expected) >= 0.999).all()
    assert np.abs(rounded - expected).max() > 1e-4 * np.abs(expected).max()  # it was used


@pytest.mark.slow
@pytest.mark.parametrize("case", oracle.CASES)
def test_gradients_match_torch(case):
    """Of sum(sin(embedding)): each parameter's norm and its products with drawn directions, under the file's names."""
    file, length = oracle.CASES[case]
    tower, tokens = file_tower(file), jnp.asarray(oracle.draw_tokens(file, length))
    gradient = jax.jit(jax.grad(lambda parameters: jnp.sum(jnp.sin(tower.apply(parameters, tokens)))))
    found = gradient(file_parameters(tower, file))
    found = tower.write_parameters({name: np.asarray(values) for name, values in found.items()})
    figures = np.stack([oracle.gradient_figures(name, found[name]) for name in oracle.encoder_names(file)])
    expected = golden(case, "gradients")
    assert len(found) == len(expected)
    assert (expected[:, 0] > 1e-3).all()
    assert (np.abs(figures - expected) <= 1e-4 * expected[:, :1]).all()


@pytest.mark.parametrize("sizes", oracle.POSITIONS)
def test_buckets_match_transformers_in_both_directions(sizes):
    """Distances from -600 to 600, far beyond the largest that has a bucket of its own."""
    expected = json.loads(oracle.BUCKETS.read_text(encoding="utf-8"))["{} {}".format(*sizes)]
    found = distance_buckets(np.arange(-600, 601, dtype=np.int32), *sizes)
    np.testing.assert_array_equal(found, expected)
    assert found.max() < sizes[0]


def test_buckets_by_hand():
    """With 32 buckets: 8 exact ones in each direction, then 8, 12, 16, 23, 32, 46, 64 and 91 begin a bucket."""
    edges = [8, 12, 16, 23, 32, 46, 64, 91]
    expected = [distance if distance < 8 else 7 + sum(distance >= edge for edge in edges) for distance in range(300)]
    before = distance_buckets(-np.arange(300, dtype=np.int32), 32, 128)
    behind = distance_buckets(np.arange(300, dtype=np.int32), 32, 128)
    assert before.tolist() == expected
    assert behind.tolist() == [0, *(16 + bucket for bucket in expected[1:])]


def test_what_follows_a_token_acts_on_it():
    """An encoder left causal would give the first token the same vector whatever follows."""
    tower = file_tower(TINY, pooling="first")
    parameters = file_parameters(tower, TINY)
    tokens = np.array([[5, 6, 7, 8, 1], [5, 6, 7, 9, 1]], np.int32)
    one, other = run(tower, parameters, tokens)
    assert np.abs(one - other).max() > 1e-2


@pytest.mark.parametrize("pooling", ["average", "max", "end", "attention"])
def test_padding_changes_nothing(pooling):
    """A text alone and beside a longer one, at either end of its row: the same embedding."""
    tower = file_tower(TINY, pooling=pooling)
    drawn = {name: draw(name, shape) for name, shape in tower.parameter_shapes.items() if name.startswith("pooling/")}
    parameters = drawn | file_parameters(file_tower(TINY), TINY)
    short = run(tower, parameters, np.array([[5, 6, 1]], np.int32))
    padded = np.array([[5, 6, 1, 0, 0, 0], [0, 0, 0, 5, 6, 1]], np.int32)
    long = run(tower, parameters, padded)
    assert np.abs(long - short).max() <= 1e-5 * np.abs(short).max()


def test_the_vocabulary_says_what_pads():
    """Token 0 is a piece where another token pads, or none does; there it takes part like any other."""
    tokens = np.array([[5, 6, 0, 7, 1], [5, 6, 8, 7, 1]], np.int32)
    for pad_id in (3, None):
        tower = file_tower(TINY, pad_id=pad_id)
        zero, eight = run(tower, file_parameters(tower, TINY), tokens)
        without = run(tower, file_parameters(tower, TINY), tokens[:1, [0, 1, 3, 4]])[0]
        assert np.abs(zero - eight).max() > 1e-2 and np.abs(zero - without).max() > 1e-2


def test_maximum_is_over_real_tokens():
    """The padding's own vector exceeds every real one somewhere, so that an unmasked maximum would show it."""
    tokens = np.array([[5, 6, 1, 0, 0, 0]], np.int32)
    masked, unmasked = (file_tower(TINY, pooling="max", pad_id=pad_id) for pad_id in (0, None))
    parameters = file_parameters(masked, TINY)
    parameters["token_embedding/embedding"][0] *= 50
    alone = run(masked, parameters, tokens[:, :3])
    assert np.abs(run(masked, parameters, tokens) - alone).max() <= 1e-5 * np.abs(alone).max()
    assert (run(unmasked, parameters, tokens) > alone + 0.5).any()


def test_blocks_share_the_positions_of_the_first_unless_each_has_its_own():
    def tables(file):
        return [name for name in file_tower(file).parameter_shapes if "relative_positions" in name]

    assert tables("t5-v1_1") == ["blocks/0/relative_positions/embedding"]
    assert tables("umt5") == [f"blocks/{number}/relative_positions/embedding" for number in range(3)]


def test_large_residual_sums_keep_what_blocks_add_in_bfloat16():
    """T5's residual sums grow to thousands; in bfloat16 they would lose additions below one part in 256."""
    exact, rounded = (file_tower(TINY, compute_type=kind) for kind in ("float32", "bfloat16"))
    parameters = file_parameters(exact, TINY)
    parameters["token_embedding/embedding"] *= 2_000
    idle = parameters | {
        name: np.zeros_like(value) for name, value in parameters.items() if name.endswith("/out/kernel")
    }
    tokens = oracle.draw_tokens(TINY, 11)
    added, added_rounded = (run(tower, parameters, tokens) - run(tower, idle, tokens) for tower in (exact, rounded))
    assert (cosines(added_rounded, added) > 0.99).all()


@pytest.mark.slow
def test_initialisers_have_t5s_scale():
    """Standard deviations of T5's initialisers, within 15 %; norms start at one."""
    tower = file_tower("t5-v1_1-wide")
    width, head_width, num_heads, hidden = 128, 16, 3, 100
    expected = {
        "token_embedding/embedding": 1,
        "blocks/0/relative_positions/embedding": width**-0.5,
        "blocks/1/attention/query/kernel": (width * head_width) ** -0.5,
        "blocks/1/attention/key/kernel": width**-0.5,
        "blocks/1/attention/value/kernel": width**-0.5,
        "blocks/1/attention/out/kernel": (num_heads * head_width) ** -0.5,
        "blocks/1/perceptron/into/kernel": width**-0.5,
        "blocks/1/perceptron/gate/kernel": width**-0.5,
        "blocks/1/perceptron/out/kernel": hidden**-0.5,
    }
    initialise = jax.jit(tower.initialise)
    drawn = initialise(jax.random.key(0))
    for name, deviation in expected.items():
        assert drawn[name].std() == pytest.approx(deviation, rel=0.15), name
    assert all((value == 1).all() for name, value in drawn.items() if name.endswith("scale"))
    again, other = (initialise(jax.random.key(seed)) for seed in (0, 1))
    for name in expected:
        np.testing.assert_array_equal(drawn[name], again[name])
        assert not np.array_equal(drawn[name], other[name])


def test_refuses_a_tokenizer_with_more_ids_than_rows():
    with pytest.raises(ValueError, match=r"vocabulary_rows must be >= the tokenizer's 131 ids, got 130"):
        file_tower("t5", vocabulary_size=131)
