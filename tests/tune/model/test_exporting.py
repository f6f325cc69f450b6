"""Tuned models in other programs' files: read back, and as transformers reads them (its own check: tests.oracles)."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import tokenizers

from lit_precompute.towers.text import BertTextOptions, T5TextOptions, resolve_text_tower
from lit_precompute.towers.text.start import read_start
from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.towers.weights.naming import write_names
from lit_precompute.towers.weights.reading import read_weights
from lit_precompute.tune.model import exporting
from lit_precompute.tune.model.exporting import export_model
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.sides import make_sides
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from tests.oracles import exported as exported_oracle
from tests.oracles.exported import make_tokenizer
from tests.tune.small_runs import NUM_WORDS, RECIPE, WIDTH, tower_card

TEXTS = ["word1 word2 word3", "word4", "", "Word5 word6, word7 word8 word9 word10 word11"]
WORDS = WordTokenizer([f"word{number}" for number in range(NUM_WORDS)])


def make_model(tokenizer=WORDS, tower=RECIPE.text_tower, *, head_width=None, **options) -> TunedModel:
    recipe = dataclasses.replace(
        RECIPE,
        text_tower=dataclasses.replace(tower, **options),
        image_side=ImageSideOptions(head_width=head_width),
    )
    sides = make_sides(recipe, width=WIDTH, vocabulary=tokenizer.vocabulary, statistics=None)
    rng = np.random.default_rng(0)
    drawn = {name: rng.standard_normal(shape) for name, shape in sides.text.parameter_shapes.items()}
    return TunedModel(
        recipe=recipe,
        sides=sides,
        image_parameters={name: np.asarray(value) for name, value in sides.image.initialise(jax.random.key(0)).items()},
        text_parameters={name: value.astype(np.float32) for name, value in drawn.items()},
        tokenizer=tokenizer,
        statistics=None,
        scale=20.0,
        image_tower=tower_card().model_dump(),
    )


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "options",
    [{}, {"head": "mlp"}, {"pooling": "average"}, {"pooling": "attention", "head": "none", "width": WIDTH}],
    ids=["as SigLIP", "mlp", "average", "attention without a head"],
)
def test_transformers_folder_is_read_back_to_the_bit(tmp_path, options):
    model = make_model(**options)
    exported = export_model(model, tmp_path / "it", "transformers")
    assert {"config.json", "model.safetensors", "export.json", "tokenizer/tokenizer.json"} <= set(exported.files)
    assert ("head.safetensors" in exported.files) == bool(options)
    modes = {path.stat().st_mode for path in (tmp_path / "it").iterdir() if path.is_file()}
    assert len(modes) == 1, "whoever may read one file may read all"
    arrays = read_weights(str(tmp_path / "it" / "model.safetensors"))
    config = json.loads((tmp_path / "it" / "config.json").read_text())
    assert (config["model_type"], config["vocab_size"]) == ("siglip_text_model", NUM_WORDS + 3)
    assert arrays["head.weight"].shape == (config["projection_size"], config["hidden_size"])
    # The folder is a text tower to start from, by its config.json.
    _, entry = resolve_text_tower(str(tmp_path / "it"))
    assert entry is not None and entry.options.depth == RECIPE.text_tower.depth
    assert (entry.options.pooling, entry.options.max_positions) == ("last", RECIPE.text.max_tokens)
    if options:
        np.testing.assert_array_equal(arrays["head.weight"], np.eye(config["hidden_size"]))
        assert "head.safetensors" in exported.notes[0]
    else:
        np.testing.assert_array_equal(arrays["head.weight"], model.text_parameters["head/kernel"].T)
        assert_same(read_start(model.sides.text, str(tmp_path / "it")), model.text_parameters)
    assert "transformers has no such tokenizer" in exported.notes[-1]


def test_big_visions_file_is_read_back_to_the_bit(tmp_path):
    model = make_model(head_width=12, pooling="attention")
    exported = export_model(model, tmp_path / "it", "big_vision")
    assert {"text_tower.npz", "image_side.safetensors", "export.json"} <= set(exported.files)
    with np.load(tmp_path / "it" / "text_tower.npz") as arrays:
        assert arrays["params/t"] == pytest.approx([np.log(20.0)])
        assert arrays["params/txt/MAPHead_0/probe"].shape == (1, 1, 16)
        np.testing.assert_array_equal(arrays["params/txt/head/kernel"], model.text_parameters["head/kernel"])
        assert "params/b" not in arrays
    side = read_weights(str(tmp_path / "it" / "image_side.safetensors"))
    np.testing.assert_array_equal(side["kernel"], model.image_parameters["kernel"])


@pytest.mark.parametrize(
    ("kind", "pooling", "model_type"), [(BertTextOptions, "average", "bert"), (T5TextOptions, "max", "t5")]
)
def test_other_families_are_read_back_to_the_bit(tmp_path, kind, pooling, model_type):
    tower = kind(width=16, depth=2, num_heads=2, mlp_width=32, pooling=pooling)
    model = make_model(make_tokenizer("huggingface"), tower)
    exported = export_model(model, tmp_path / "it", "transformers")
    without_head = {name: value for name, value in model.text_parameters.items() if not name.startswith("head/")}
    assert_same(read_start(model.sides.text, str(tmp_path / "it")), without_head)
    assert {"head.safetensors", "1_Pooling/config.json", "tokenizer.json"} <= set(exported.files)
    _, entry = resolve_text_tower(str(tmp_path / "it"))
    assert entry is not None
    assert (entry.options.kind, entry.options.pooling) == (tower.kind, pooling)
    assert json.loads((tmp_path / "it" / "config.json").read_text())["model_type"] == model_type
    settings = json.loads((tmp_path / "it" / "tokenizer_config.json").read_text())
    assert settings["model_input_names"] == ["input_ids", "attention_mask"]
    assert exported.notes == [
        "transformers has no place for head/bias, head/kernel: see head.safetensors and docs/text-towers.md",
        f"transformers' last_hidden_state is the tower's; pooling ({pooling}) and head are yours to add",
    ]


def test_big_vision_has_no_names_for_t5(tmp_path):
    model = make_model(WORDS, T5TextOptions(width=16, depth=1, num_heads=2, mlp_width=32))
    with pytest.raises(TunedModelError, match=r"big_vision has no names for text_tower\.kind 't5'"):
        export_model(model, tmp_path / "it", "big_vision")


def test_a_bias_is_exported(tmp_path):
    model = dataclasses.replace(make_model(pooling="end"), bias=-9.5)
    export_model(model, tmp_path / "it", "big_vision")
    with np.load(tmp_path / "it" / "text_tower.npz") as arrays:
        assert arrays["params/b"] == [-9.5]
    assert json.loads((tmp_path / "it" / "export.json").read_text())["bias"] == -9.5


def test_export_says_what_one_needs_to_know(tmp_path):
    export_model(make_model(pooling="end"), tmp_path / "it", "big_vision")
    facts = json.loads((tmp_path / "it" / "export.json").read_text())
    assert (facts["text_tower"]["pooling"], facts["max_tokens"], facts["scale"]) == ("end", 6, 20.0)
    assert facts["special_tokens"] == {"first": [], "last": [1], "padding": 1}
    assert facts["masks_padding"] is False
    assert facts["image_tower"]["fingerprint"] == "f" * 64


@pytest.mark.parametrize("kind", ["sentencepiece", "huggingface"])
def test_tokenizer_json_gives_the_same_rows(tmp_path, kind):
    tokenizer = make_tokenizer(kind)
    exported = export_model(make_model(tokenizer), tmp_path / "it", "transformers")
    assert {"tokenizer.json", "tokenizer_config.json"} <= set(exported.files)
    assert exported.notes == []
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "it" / "tokenizer.json"))
    texts = [*TEXTS, "  two  spaces\tand\nlines ", "ÀÉÎ \uff57\uff49\uff44\uff45 \ufb01 ½", "日本語 emoji 🎉", "x" * 50]
    found = [encoding.ids for encoding in theirs.encode_batch(texts)]
    np.testing.assert_array_equal(found, tokenizer.encode(texts, RECIPE.text.max_tokens))
    settings = json.loads((tmp_path / "it" / "tokenizer_config.json").read_text())
    # The text ViT attends to padding, so that a mask would change its embeddings.
    assert settings["model_input_names"] == ["input_ids"]


@pytest.mark.parametrize("kind", exported_oracle.POOLINGS)
def test_exports_the_files_that_transformers_opened(tmp_path, kind):
    """`make oracles` opens the goldens with transformers."""
    export_model(exported_oracle.make_model(make_tokenizer("huggingface"), kind), tmp_path / "it", "transformers")
    golden = exported_oracle.GOLDEN / kind
    for path in golden.rglob("*"):
        if path.is_file():
            assert (tmp_path / "it" / path.relative_to(golden)).read_bytes() == path.read_bytes(), path.name


def test_other_embeddings_are_an_error_and_leave_nothing(tmp_path, monkeypatch):
    model = make_model()
    monkeypatch.setattr(exporting, "write_names", _with_a_changed_number)
    with pytest.raises(TunedModelError, match="gives other embeddings when it is read back"):
        export_model(model, tmp_path / "it", "transformers")
    assert not (tmp_path / "it").exists()


def _with_a_changed_number(naming, parameters):
    arrays = dict(write_names(naming, parameters))
    arrays["final_layer_norm.bias"] = arrays["final_layer_norm.bias"] + np.float32(1e-3)
    return arrays


def test_a_model_over_stored_text_embeddings_has_no_tower_to_export(tmp_path):
    model = dataclasses.replace(make_model(), tokenizer=None)
    with pytest.raises(TunedModelError, match="has no text tower to export"):
        export_model(model, tmp_path / "it", "transformers")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "mine").write_text("")
    with pytest.raises(FileExistsError, match="is a folder that is not empty; choose another --output"):
        export_model(make_model(), tmp_path / "it", "transformers")
    with pytest.raises(ValueError, match="mine is a file; choose another --output"):
        export_model(make_model(), tmp_path / "it/mine/deep", "transformers")
