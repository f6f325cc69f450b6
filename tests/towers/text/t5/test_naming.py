"""T5's encoder in transformers' files: alone, beside a decoder, sharded, as `.bin`; and back."""

import json
import re

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.text.start import read_start
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.reading import read_weights
from tests.oracles import t5 as oracle
from tests.towers.text.t5.making import file_parameters, file_tower, saved_config


@pytest.mark.parametrize("file", oracle.FILES)
def test_transformers_names_round_trip_to_the_bit(file):
    tower, arrays = file_tower(file), oracle.draw_file(file)
    written = tower.write_parameters(file_parameters(tower, file))
    assert sorted(written) == oracle.encoder_names(file)
    for name, values in written.items():
        np.testing.assert_array_equal(values, arrays[name])


@pytest.mark.parametrize(("pooling", "head"), [("attention", "linear"), ("average", "mlp")])
def test_pooling_and_head_round_trip_under_our_names(pooling, head):
    tower = file_tower("t5", pooling=pooling, head=head)
    drawn = {name: np.full(shape, 0.5, np.float32) for name, shape in tower.parameter_shapes.items()}
    written = tower.write_parameters(drawn)
    assert len(written) == len(tower.parameter_shapes)
    assert {name for name in written if name.startswith(("head/", "pooling/"))} == {
        name for name in drawn if name.startswith(("head/", "pooling/"))
    }
    assert tower.read_parameters(written, "a file").keys() == drawn.keys()


def test_reads_a_bin_file_which_repeats_the_table_of_tokens():
    arrays = read_weights(str(oracle.BIN))
    assert {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"} <= set(
        arrays
    )
    tower = file_tower(oracle.BIN_FILE)
    for name, values in tower.read_parameters(arrays, "pytorch_model.bin").items():
        np.testing.assert_array_equal(values, file_parameters(tower, oracle.BIN_FILE)[name])


@pytest.mark.parametrize("name", ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"])
def test_the_table_of_tokens_is_read_under_any_of_its_names(name):
    """Some publishers' files have it under one of these names alone; the output layer, lm_head, is another array."""
    arrays = oracle.draw_file("t5")
    expected = arrays.pop("shared.weight")
    arrays |= {name: expected, "lm_head.weight": expected + 1}
    found = file_tower("t5").read_parameters(arrays, "a file")
    np.testing.assert_array_equal(found["token_embedding/embedding"], expected)


def test_refuses_an_encoder_with_tokens_of_its_own():
    arrays = oracle.draw_file("t5")
    arrays["encoder.embed_tokens.weight"] = arrays["shared.weight"] + 1
    with pytest.raises(WeightsError, match=r"1 parameter not expected:\n  encoder\.embed_tokens\.weight \(130, 64\)"):
        file_tower("t5").read_parameters(arrays, "a file")


def test_reads_the_encoder_of_a_classifier():
    arrays = {f"transformer.{name}": values for name, values in oracle.draw_file("t5").items()}
    arrays["classifier.weight"] = np.zeros((2, 64), np.float32)
    tower = file_tower("t5")
    found = tower.read_parameters(arrays, "a file")
    for name, values in file_parameters(tower, "t5").items():
        np.testing.assert_array_equal(found[name], values)


def save_folder(folder, file, *, shards=2):
    """Writes a file as `save_pretrained` does: config.json, and safetensors in several files with their index."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(saved_config(file)), encoding="utf-8")
    arrays, weight_map = oracle.draw_file(file), {}
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = {key: arrays[key] for key in sorted(arrays)[number::shards]}
        safetensors.numpy.save_file(part, folder / name, {"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return str(folder)


def test_starts_from_a_sharded_folder_and_leaves_the_head_to_be_drawn(tmp_path):
    folder = save_folder(tmp_path / "t5", "t5-v1_1")
    tower = file_tower("t5-v1_1", head="linear")
    found = read_start(tower, folder)
    assert tower.parameter_shapes.keys() - found.keys() == {"head/kernel", "head/bias"}
    for name, values in file_parameters(file_tower("t5-v1_1"), "t5-v1_1").items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("t5-v1_1-wide", r"1 of another shape|of another shape"),
        ("umt5", "blocks/1/relative_positions/embedding|encoder.block.1.layer.0.SelfAttention.relative"),
        ("t5", "perceptron/gate/kernel"),
    ],
)
def test_refuses_another_size_and_another_member_of_the_family(tmp_path, file, message):
    folder = save_folder(tmp_path / "other", file)
    with pytest.raises(WeightsError, match=message) as refused:
        read_start(file_tower("t5-v1_1"), folder)
    assert re.search(r"text_tower\.weights: .*other", str(refused.value))
