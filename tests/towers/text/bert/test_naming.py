"""Every kind of file: transformers' of each model, those converted from Google's, and the public LiT models'."""

import re

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.naming import read_names, write_names
from lit_precompute.towers.weights.reading import read_weights
from tests.oracles import bert as oracle
from tests.oracles.drawing import draw
from tests.towers.text.bert.making import SMALL, make_tower, tower_of

# What a file has beside the encoder.
TASKS = re.compile(r"cls\..*|lm_head\..*|vocab_.*|(bert\.)?pooler\..*|embeddings.position_ids")


def naming_of(tower, name):
    return next(naming for naming in tower.namings if naming.name == name)


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("file", oracle.FILES)
def test_names_of_transformers_round_trip_to_the_bit(file):
    tower, arrays = tower_of(file), oracle.draw_file(file)
    written = write_names(naming_of(tower, "transformers"), tower.read_parameters(arrays, file))
    encoder = {
        re.sub(r"^(bert|roberta|distilbert)\.", "", name): value
        for name, value in arrays.items()
        if not TASKS.fullmatch(name)
    }
    assert_equal(written, encoder)
    assert_equal(tower.read_parameters(written, file), tower.read_parameters(arrays, file))


def file_of_lit():
    """Returns the arrays of a public LiT model's text side, from flaxformer's parameter names, beside an image side."""
    width, hidden = SMALL.width, SMALL.mlp_width
    shapes = {
        "embedder/embedders_token_ids/embedding": (oracle.VOCABULARY_SIZE, width),
        "embedder/embedders_position_ids/embedding": (SMALL.max_positions, width),
        "embedder/embedders_segment_ids/embedding": (2, width),
        "layer_norm/scale": (width,),
        "layer_norm/bias": (width,),
    }
    dense = {
        "dense_layer": (width, width),
        **{f"attention_layer/{part}": (width, width) for part in ("query", "key", "value")},
    }
    layers = {f"attention_block/{layer}": shape for layer, shape in dense.items()}
    layers |= {"mlp_block/mlp/dense_layer": (width, hidden), "mlp_block/dense_layer": (hidden, width)}
    for number in range(SMALL.depth):
        block = f"encoder_block/layer_sequence/layers_{number}"
        for layer, shape in layers.items():
            shapes |= {f"{block}/{layer}/kernel": shape, f"{block}/{layer}/bias": shape[1:]}
        for part in ("attention_block", "mlp_block"):
            shapes |= {f"{block}/{part}/layer_norm/scale": (width,), f"{block}/{part}/layer_norm/bias": (width,)}
    text = {f"BertEncoder_0/{name}": draw(name, shape) for name, shape in shapes.items()}
    return text | {"head/kernel": draw("head", (width, 48)), "head/bias": draw("head bias", (48,))}


@pytest.mark.parametrize("root", ["", "txt/", "params/txt/"])
def test_names_of_big_vision_round_trip_to_the_bit(root, tmp_path):
    tower, text = make_tower(SMALL, output_width=48), file_of_lit()
    others = {"t": np.zeros(1), "img/head/kernel": np.zeros((3, 3)), "img/cls": np.zeros((1, 1, 3))} if root else {}
    prefix = root.removesuffix("txt/")
    arrays = {root + name: value for name, value in text.items()} | {
        prefix + name: value for name, value in others.items()
    }
    np.savez(tmp_path / "lit.npz", **arrays)
    found = tower.read_parameters(read_weights(str(tmp_path / "lit.npz")), "lit.npz")
    assert_equal(tower.write_parameters(found), text)


def test_files_of_one_model_in_different_layouts_are_the_same_parameters(tmp_path):
    tower, arrays = tower_of("bert-small"), oracle.draw_file("bert-small")
    expected = tower.read_parameters(arrays, "expected")
    bare = {name.removeprefix("bert."): value for name, value in arrays.items() if name.startswith("bert.")}
    old = {re.sub(r"LayerNorm\.weight$", "LayerNorm.gamma", name): value for name, value in arrays.items()}
    old = {re.sub(r"LayerNorm\.bias$", "LayerNorm.beta", name): value for name, value in old.items()}
    assert set(old) != set(arrays)
    layouts = {
        "without a prefix": bare,
        "of old spellings": old,
        "with position numbers": arrays | {"bert.embeddings.position_ids": np.arange(40)[None]},
        "without a prefix, with position numbers": bare | {"embeddings.position_ids": np.arange(40)[None]},
        "with a classifier": bare | {"classifier.weight": np.ones((2, 64), np.float32)},
        "of big_vision": tower.write_parameters(expected),
    }
    for layout, named in layouts.items():
        assert_equal(tower.read_parameters(named, layout), expected)
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    assert_equal(tower.read_parameters(read_weights(str(tmp_path)), "the folder"), expected)


def test_names_every_parameter_that_does_not_fit():
    arrays = oracle.draw_file("distilbert-small")
    del arrays["distilbert.embeddings.LayerNorm.bias"]
    arrays["distilbert.transformer.layer.0.ffn.lin3.weight"] = np.zeros((3, 3), np.float32)
    arrays["distilbert.embeddings.word_embeddings.weight"] = np.zeros((60, 64), np.float32)
    with pytest.raises(WeightsError) as refused:
        tower_of("distilbert-small").read_parameters(arrays, "model.safetensors")
    message = str(refused.value)
    assert "1 parameter missing:\n  embedding_norm/bias (64)" in message
    assert "1 parameter not expected:\n  transformer.layer.0.ffn.lin3.weight (3, 3)" in message
    assert "token_embedding/embedding: the file has (60, 64), the tower needs (61, 64)" in message


@pytest.mark.parametrize("options", [{"pooling": "attention", "head": "mlp"}, {"head": "linear"}])
def test_a_head_and_a_pooling_of_ours_are_kept_in_both_layouts(options):
    tower = tower_of("bert-small", **options)
    parameters = {name: draw(name, shape) for name, shape in tower.parameter_shapes.items()}
    for naming in tower.namings:
        found = read_names(tower.namings, write_names(naming, parameters), tower.parameter_shapes)
        assert_equal(found, parameters)
