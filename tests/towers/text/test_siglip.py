"""SigLIP's text sides against transformers (goldens): embeddings, gradients, and the names in files."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text import ViTTextOptions, make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.towers.weights.naming import write_names
from tests.oracles import siglip_text as oracle
from tests.towers.parity import cosines


def make_tower(file: str, length: int | None = None, *, compute_type="float32", **options) -> Tower:
    text = oracle.FILES[file][1]
    shape = {
        "width": text["hidden_size"],
        "depth": text["num_hidden_layers"],
        "num_heads": text["num_attention_heads"],
        "mlp_width": text["intermediate_size"],
        "max_positions": text["max_position_embeddings"],
    }
    return make_text_tower(
        ViTTextOptions(**shape, **options),
        vocabulary=Vocabulary(text["vocab_size"], oracle.PAD, oracle.PAD),
        max_tokens=length or text["max_position_embeddings"],
        output_width=text.get("projection_size", text["hidden_size"]),
        compute_type=compute_type,
    )


@functools.cache
def golden() -> dict[str, np.ndarray]:
    with np.load(oracle.GOLDEN / "outputs.npz") as file:
        return dict(file)


def close(found, expected) -> bool:
    return np.abs(np.asarray(found) - expected).max() <= 1e-4 * np.abs(expected).max()


# The others compile for seconds, too.
FAST = ("siglip-7", "siglip-text-9")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in FAST else pytest.mark.slow) for case in oracle.CASES]
)
def test_embeddings_and_gradients_match_transformers(case: str):
    file, length = oracle.CASES[case]
    tower = make_tower(file, length)
    parameters = tower.read_parameters(oracle.draw_file(file), file)
    tokens = oracle.draw_tokens(case)

    def scalar(parameters):
        embeddings = tower.apply(parameters, jnp.asarray(tokens))
        return jnp.sum(jnp.sin(embeddings)), embeddings

    (_, embeddings), gradients = jax.jit(jax.value_and_grad(scalar, has_aux=True))(parameters)
    expected = golden()[f"{case} embeddings"]
    assert 0.1 < np.abs(expected).mean() < 10  # not all zeros, where any tower would agree
    assert close(embeddings, expected)
    theirs = names(tower, "transformers", {name: np.asarray(value) for name, value in gradients.items()})
    prefix = "text_model." if file != "siglip-text" else ""
    lengths = {name: golden()[f"{case} {prefix}{name}"][1] for name in theirs}
    for name, gradient in theirs.items():
        product, length_of_it = golden()[f"{case} {prefix}{name}"]
        found = oracle.in_short(f"{prefix}{name}", gradient)
        # A bias of the keys shifts a query's scores alike, which softmax ignores: its gradient is rounding alone.
        tolerance = 1e-4 * max(length_of_it, 1e-2 * max(lengths.values()))
        assert abs(found[1] - length_of_it) <= tolerance, name
        assert abs(found[0] - product) <= tolerance, name


def names(tower: Tower, kind: str, parameters) -> dict[str, np.ndarray]:
    (naming,) = (naming for naming in tower.namings if naming.name == kind)
    return write_names(naming, parameters)


@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
@pytest.mark.parametrize("file", ["siglip", "siglip-text", pytest.param("siglip2", marks=pytest.mark.slow)])
def test_bfloat16_points_the_same_way(file: str):
    tower = make_tower(file, compute_type="bfloat16")
    case = next(iter(case for case, (of, _) in oracle.CASES.items() if of == file))
    parameters = tower.read_parameters(oracle.draw_file(file), file)
    embeddings = np.asarray(jax.jit(tower.apply)(parameters, oracle.draw_tokens(case)))
    assert embeddings.dtype == np.float32
    assert cosines(embeddings, golden()[f"{case} embeddings"]).min() > 0.999


@pytest.mark.parametrize("file", oracle.FILES)
@pytest.mark.parametrize("kind", ["transformers", "big_vision", "big_vision, scanned blocks", "OpenCLIP"])
def test_names_round_trip_to_the_bit(file: str, kind: str):
    tower, theirs = make_tower(file), oracle.draw_file(file)
    parameters = tower.read_parameters(theirs, file)
    written = names(tower, kind, parameters)
    for name, value in tower.read_parameters(written, kind).items():
        np.testing.assert_array_equal(value, parameters[name])
    if kind == "transformers":
        prefix = "text_model." if file != "siglip-text" else ""
        for name, value in written.items():
            np.testing.assert_array_equal(value, theirs[prefix + name])
        assert {prefix + name for name in written} == {name for name in theirs if name.startswith(prefix)}


def test_openclip_joins_query_key_and_value():
    tower = make_tower("siglip-text")
    theirs = names(tower, "OpenCLIP", tower.read_parameters(oracle.draw_file("siglip-text"), "a file"))
    query, key, value = (
        oracle.draw_file("siglip-text")[f"encoder.layers.1.self_attn.{part}_proj.weight"] for part in "qkv"
    )
    np.testing.assert_array_equal(
        theirs["transformer.resblocks.1.attn.in_proj_weight"], np.concatenate([query, key, value])
    )
    np.testing.assert_array_equal(theirs["text_projection.weight"], oracle.draw_file("siglip-text")["head.weight"])


def test_reads_one_half_of_a_two_tower_file_of_big_vision():
    tower = make_tower("siglip")
    parameters = tower.read_parameters(oracle.draw_file("siglip"), "a file")
    both = {f"params/txt/{name}": value for name, value in names(tower, "big_vision", parameters).items()}
    both |= {"params/img/head/kernel": np.zeros((3, 3), np.float32), "params/t": np.zeros(1, np.float32)}
    for name, value in tower.read_parameters(both, "a file").items():
        np.testing.assert_array_equal(value, parameters[name])


def test_reads_the_names_of_the_first_lit_models():
    """vision_transformer counts a block's layers: LayerNorm_0, ..Attention_1, LayerNorm_2, MlpBlock_3."""
    tower = make_tower("siglip")
    parameters = tower.read_parameters(oracle.draw_file("siglip"), "a file")
    written = names(tower, "vision_transformer", parameters)
    assert "Encoder_0/encoderblock_2/MlpBlock_3/Dense_1/kernel" in written
    for name, value in tower.read_parameters({f"txt/{name}": value for name, value in written.items()}, "it").items():
        np.testing.assert_array_equal(value, parameters[name])


def test_nothing_is_causal():
    """The first position's vector depends on the last token."""
    tower = make_tower("siglip", pooling="first")
    parameters = tower.read_parameters(oracle.draw_file("siglip"), "a file")
    tokens = oracle.draw_tokens("siglip-7")
    changed = tokens.copy()
    changed[:, -1] = 50
    encode = jax.jit(tower.apply)
    assert np.abs(encode(parameters, tokens) - encode(parameters, changed)).max() > 1e-3


def test_rows_may_be_shorter_than_the_positions_but_not_longer():
    with pytest.raises(ValueError, match=r"text\.max_tokens must be <= 7, the positions of this tower, got 8"):
        make_tower("siglip", 8)


def test_a_tokenizer_may_not_have_more_ids_than_the_table_has_rows():
    with pytest.raises(ValueError, match=r"vocabulary_rows must be >= 101, the size of the tokenizer's .*, got 100"):
        make_tower("siglip", vocabulary_rows=100)
    assert make_tower("siglip", vocabulary_rows=104).parameter_shapes["token_embedding/embedding"] == (104, 64)
