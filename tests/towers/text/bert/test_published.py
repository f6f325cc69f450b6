"""The named towers: their sizes against the published counts, and where their files are."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.text import BertTextOptions, make_text_tower, resolve_text_tower, text_towers
from lit_precompute.towers.text.bert.published import ENTRIES
from lit_precompute.towers.text.start import read_start
from lit_precompute.towers.tokenizers import Vocabulary
from tests.oracles import bert as oracle

# transformers' count of the bare model, with BERT's pooler, as the model cards and papers round it.
COUNTS = {
    "google-bert/bert-base-uncased": 109_482_240,
    "google-bert/bert-base-cased": 108_310_272,
    "google-bert/bert-large-uncased": 335_141_888,
    "google-bert/bert-base-multilingual-cased": 177_853_440,
    "FacebookAI/roberta-base": 124_645_632,
    "FacebookAI/roberta-large": 355_359_744,
    "FacebookAI/xlm-roberta-base": 278_043_648,
    "FacebookAI/xlm-roberta-large": 559_890_432,
    "distilbert/distilbert-base-uncased": 66_362_880,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
    "sentence-transformers/all-MiniLM-L12-v2": 33_360_000,
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": 117_653_760,
    "microsoft/MiniLM-L12-H384-uncased": 33_360_000,
    "microsoft/Multilingual-MiniLM-L12-H384": 117_653_760,
}
# vision_transformer's models_test.py counts both sides and the temperature; the image sides are published ViTs.
LIT = {
    "lit-b16b": (195_871_489, 85_798_656 + 768 * 768 + 768),
    "lit-b16b_2": (195_280_897, 85_798_656),
    "lit-l16l": (638_443_521, 303_301_632),
}


def count(options: BertTextOptions, **changes) -> int:
    tower = make_text_tower(
        dataclasses.replace(options, **changes),
        vocabulary=Vocabulary(100, end_id=2, pad_id=0),
        max_tokens=16,
        output_width=options.width,
        compute_type="float32",
    )
    return sum(map(math.prod, tower.parameter_shapes.values()))


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(name):
    options = ENTRIES[name].options
    pooler = 0 if name.startswith("distilbert/") else options.width * (options.width + 1)
    assert count(options, head="none") + pooler == COUNTS[name]


@pytest.mark.parametrize("name", LIT)
def test_parameter_counts_of_public_lit_models_are_the_published_ones(name):
    both, image = LIT[name]
    assert count(ENTRIES[name].options, head="linear") + image + 1 == both
    assert ENTRIES[name].options.activation == "gelu_tanh"  # flaxformer's
    assert ENTRIES[name].max_tokens == 16
    assert ENTRIES[name].tokenizer.special_tokens == "paper"


def test_every_name_is_counted_and_resolves_to_its_entry():
    assert ENTRIES.keys() == COUNTS.keys() | LIT.keys()
    assert ENTRIES.items() <= text_towers().items()
    assert resolve_text_tower("lit-l16l") == ("lit-l16l", ENTRIES["lit-l16l"])
    assert all(
        entry.options.pooling == ("average" if "sentence-" in name else "first") for name, entry in ENTRIES.items()
    )
    assert ENTRIES["google-bert/bert-base-cased"].weights == "hf://google-bert/bert-base-cased/model.safetensors"
    assert ENTRIES["lit-b16b"].weights == "https://storage.googleapis.com/vit_models/lit/LiT-B16B.npz"


@pytest.mark.parametrize("file", oracle.FILES)
def test_a_folder_that_save_pretrained_wrote_needs_no_entry(file, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(oracle.read_config(file)), encoding="utf-8")
    arrays = oracle.draw_file(file)
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    name, entry = resolve_text_tower(str(tmp_path))
    assert entry is not None and isinstance(entry.options, BertTextOptions)
    vocabulary = Vocabulary(oracle.VOCABULARY_SIZE, end_id=2, pad_id=oracle.PAD_IDS[file])
    tower = make_text_tower(entry.options, vocabulary=vocabulary, max_tokens=7, output_width=5, compute_type="float32")
    found = read_start(tower, name)
    expected = tower.parameter_shapes.keys() - {"head/kernel", "head/bias"}
    assert found.keys() == expected
    words = next(value for key, value in arrays.items() if key.endswith("word_embeddings.weight"))
    np.testing.assert_array_equal(found["token_embedding/embedding"], words)


def test_the_package_of_a_real_minilm_is_a_folder_like_any(tmp_path):
    """PyPI's package has a `config.json` and says how it pools: its options are those of the published name."""
    _, entry = resolve_text_tower(f"package://{oracle.MINILM_PACKAGE}/model")
    published = ENTRIES["sentence-transformers/all-MiniLM-L6-v2"].options
    assert entry is not None
    assert entry.options == published
    shutil.copy(oracle.minilm_folder() / "config.json", tmp_path)
    assert resolve_text_tower(str(tmp_path))[1].options == dataclasses.replace(published, pooling="first")
