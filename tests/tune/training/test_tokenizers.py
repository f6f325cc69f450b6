"""Tokenizers in a run: a given tokenizer.json up to the tuned model, and how long the texts are."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import (
    HuggingFaceOptions,
    HuggingFaceTokenizer,
    TextLengths,
    WordOptions,
    train_tokenizer,
)
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.preparation import measure_text_lengths
from lit_precompute.tune.training.run_directory import RunDirectory
from tests.oracles.vocabularies import unpack
from tests.tune.small_runs import NUM_ROWS, NUM_WORDS, RECIPE, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
# All words, so that the vocabulary is whole; 93 texts of one word, two of 6 and one of 30.
TEXTS = [f"word{row % NUM_WORDS}" for row in range(NUM_ROWS - 3)] + ["word1 " * 6] * 2 + ["word2 " * 30]


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", texts=[[text] for text in TEXTS])


def lengths_of(dataset_path: str, output: pathlib.Path, max_tokens: int = 6) -> TextLengths:
    """Returns the lengths that a run in a directory measures, or has measured."""
    directory = RunDirectory(output)
    directory.tokenizer.mkdir(parents=True, exist_ok=True)
    recipe = dataclasses.replace(RECIPE, text=TextOptions(max_tokens=max_tokens))
    with EmbeddingDataset.open(dataset_path) as dataset:
        return measure_text_lengths(directory, dataset, train_tokenizer(WordOptions(), TEXTS), recipe)["texts"]


def test_a_run_measures_its_texts(dataset_path: str, tmp_path: pathlib.Path):
    """By hand; a row of 6 tokens has 5 words and the end."""
    lengths = lengths_of(dataset_path, tmp_path / "run")
    expected = TextLengths(NUM_ROWS, 1, 1, 30, 30, max_pieces=5, num_cut=3)
    assert lengths == expected
    assert lengths_of(dataset_path, tmp_path / "longer", 7) == expected._replace(max_pieces=6, num_cut=1)


def test_a_resumed_run_reads_them_back(dataset_path: str, tmp_path: pathlib.Path):
    lengths = lengths_of(dataset_path, tmp_path)
    path = tmp_path / "tokenizer/text_lengths.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {"texts": lengths._asdict()}
    changed = lengths._replace(longest=77)
    for content in ({"texts": changed._asdict()}, changed._asdict()):  # the second as versions without fields wrote it
        path.write_text(json.dumps(content), encoding="utf-8")
        assert lengths_of(dataset_path, tmp_path) == changed
    path.write_text('{"texts": {"longest": "long"}}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"text_lengths\.json: texts must have the numbers num_texts, .*; remove it"):
        lengths_of(dataset_path, tmp_path)


@pytest.mark.slow
def test_a_tokenizer_json_from_elsewhere_is_part_of_the_tuned_model(dataset_path: str, tmp_path: pathlib.Path):
    """Cased, although a recipe lower-cases by default; the run does not need its files again."""
    folder = unpack("wordpiece", tmp_path / "wordpiece")
    recipe = dataclasses.replace(RECIPE, tokenizer=HuggingFaceOptions(path=str(folder)), num_steps=4)
    assert recipe.text.lower_case
    train(dataset_path, tmp_path / "run", recipe)
    assert (tmp_path / "run/tokenizer/text_lengths.json").is_file()
    (folder / "vocab.txt").unlink()
    model = TunedModel.load(tmp_path / "run")
    assert isinstance(model.tokenizer, HuggingFaceTokenizer) and model.tokenizer.vocabulary == (8_803, 4, 0)
    same, other = model.embed_texts(["word1", "word1"]), model.embed_texts(["WORD1", "word1"])
    np.testing.assert_array_equal(same[0], same[1])
    assert not np.array_equal(other[0], other[1])
