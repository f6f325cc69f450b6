"""Class embeddings: means of prompts, in bounded memory, and kept for the next evaluation bit for bit."""

import dataclasses
import logging
import os
import pathlib

import numpy as np
import pytest

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.towers.weights.cache import class_embeddings_folder
from lit_precompute.tune.evaluation import class_embedding_cache
from lit_precompute.tune.evaluation.class_embeddings import PROMPTS_AT_ONCE, compute, embed_classes
from lit_precompute.tune.evaluation.prompts import make_prompts
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.tune.evaluation.making import KnownModel, unit

GOLDEN = pathlib.Path(__file__).parents[2] / "golden/tuned_model_v1/model"
CLASSES = ["word1", "word2, word3", "word4 word5"]
TEMPLATES = ("{}", "word7 {}", "{} word8.")


class CountingModel(KnownModel):
    """Embeds a text as (length, number of e's, 1), and notes how many it is given at a time."""

    def __init__(self):
        super().__init__({"": np.ones(3)})
        self.counts = []

    def embed_texts(self, texts):
        self.counts.append(len(texts))
        return unit([[len(text), text.count("e"), 1] for text in texts])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache, in a fresh folder."""
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/class-embeddings"


@pytest.fixture(scope="module")
def model():
    return TunedModel.load(GOLDEN)


@pytest.fixture
def embedded(monkeypatch):
    """How many texts were embedded by each call."""
    counts = []
    embed = TunedModel.embed_texts
    monkeypatch.setattr(
        TunedModel, "embed_texts", lambda model, texts: counts.append(len(texts)) or embed(model, texts)
    )
    return counts


def _changed(model, digest, **fields):
    """Returns a model with other fields, as if it were another one that was loaded."""
    changed = dataclasses.replace(model, **fields)
    object.__setattr__(changed, "digest", digest)
    return changed


@pytest.mark.parametrize(("num_classes", "num_templates"), [(1, 1), (700, 3), (30, 81), (2, 1_500), (1_024, 1)])
def test_matches_float64_numpy_in_pieces_of_bounded_size(num_classes, num_templates):
    classes = [f"class {'e' * (number % 7)} {number}" for number in range(num_classes)]
    templates = tuple(f"{{}} {'e' * number}" for number in range(num_templates))
    model, reported = CountingModel(), []
    vectors = compute(model, classes, templates, lambda *progress: reported.append(progress))
    assert max(model.counts) <= PROMPTS_AT_ONCE
    assert sum(model.counts) == num_classes * num_templates
    prompts = [prompt for name in classes for prompt in make_prompts(name, templates)]
    means = model.embed_texts(prompts).astype(np.float64).reshape(num_classes, num_templates, 3).mean(axis=1)
    np.testing.assert_allclose(vectors, means / np.linalg.norm(means, axis=1, keepdims=True), rtol=2e-6)
    if num_classes * num_templates <= PROMPTS_AT_ONCE:
        assert reported == []  # done at once
    else:
        assert reported[-1] == (num_classes, num_classes)
        assert len(reported) == len(model.counts) - 1


def test_pieces_do_not_change_the_numbers(model):
    """A batch of the text tower has the same rows as if all prompts had come at once."""
    classes = [f"word{number % 20} word{number // 20}" for number in range(400)]
    prompts = [prompt for name in classes for prompt in make_prompts(name, TEMPLATES)]
    assert len(prompts) > PROMPTS_AT_ONCE
    means = model.embed_texts(prompts).reshape(400, 3, -1).mean(axis=1)
    expected = means / (np.linalg.norm(means, axis=1, keepdims=True) + 1e-8)
    np.testing.assert_array_equal(compute(model, classes, TEMPLATES), expected)


def test_the_second_evaluation_embeds_nothing_and_has_the_same_bits(model, folder, embedded):
    fresh = embed_classes(model, CLASSES, TEMPLATES)
    assert embedded == [9]
    again = embed_classes(TunedModel.load(GOLDEN), CLASSES, TEMPLATES)
    assert embedded == [9]
    assert again.tobytes() == fresh.tobytes()
    again += 1  # an array of its own
    assert len(list(folder.iterdir())) == 1


def test_another_model_class_or_template_is_another_entry(model, folder, embedded):
    other = _changed(model, "0" * 64)
    other_tokenizer = _changed(model, model.digest, tokenizer=WordTokenizer(["word1", "word7"]))
    others = [
        (other, CLASSES, TEMPLATES),
        (other_tokenizer, CLASSES, TEMPLATES),
        (model, CLASSES[::-1], TEMPLATES),
        (model, [*CLASSES[:2], "word4", "word5"], TEMPLATES),
        (model, CLASSES, TEMPLATES[:2]),
        (model, CLASSES, TEMPLATES[::-1]),
    ]
    for count, given in enumerate([(model, CLASSES, TEMPLATES), *others], start=1):
        embed_classes(*given)
        assert (len(embedded), len(list(folder.iterdir()))) == (count, count)


def test_a_changed_text_tower_is_another_entry(model, folder, embedded):
    text = model.sides.text
    doubled = dataclasses.replace(text, apply=lambda parameters, tokens: 2 * text.apply(parameters, tokens) + 1)
    embed_classes(model, CLASSES, TEMPLATES)
    other = _changed(model, model.digest, sides=model.sides._replace(text=doubled))
    changed = embed_classes(other, CLASSES, TEMPLATES)
    assert len(embedded) == 2
    assert not np.array_equal(changed, embed_classes(model, CLASSES, TEMPLATES))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "folder"])
def test_damage_is_made_good(model, folder, embedded, damage, caplog):
    caplog.set_level(logging.WARNING)  # a command that ran in this process may have silenced warnings
    fresh = embed_classes(model, CLASSES, TEMPLATES)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes({"flip": bytes(content), "cut": bytes(content[:-4]), "empty": b""}[damage])
    for _ in range(2):
        np.testing.assert_array_equal(embed_classes(model, CLASSES, TEMPLATES), fresh)
    assert len(embedded) == (3 if damage == "folder" else 2)
    assert ("not kept for the next evaluation" in caplog.text) == (damage == "folder")


def test_a_cache_that_cannot_be_written_is_a_warning(model, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert embed_classes(model, CLASSES, TEMPLATES).shape == (3, 12)
    assert "the class embeddings are not kept for the next evaluation: " in caplog.text


def test_nothing_is_kept_unless_asked_or_of_a_model_in_memory(model, folder, embedded):
    embed_classes(model, CLASSES, TEMPLATES, keep=False)
    parameters = {name: 2 * value for name, value in model.text_parameters.items()}
    embed_classes(dataclasses.replace(model, text_parameters=parameters), CLASSES, TEMPLATES)
    assert not folder.exists()


def test_the_oldest_files_go_first(model, folder, monkeypatch):
    kept = [embed_classes(model, [name], TEMPLATES) for name in CLASSES] and sorted(folder.iterdir())
    for age, file in enumerate(kept):
        os.utime(file, (1_000 - age, 1_000 - age))
    size = kept[0].stat().st_size
    monkeypatch.setattr(class_embedding_cache, "LIMIT_BYTES", 2 * size)
    embed_classes(model, ["word9"], TEMPLATES)
    left = list(folder.iterdir())
    assert len(left) == 2 and kept[0] in left


def test_the_folder_is_where_the_docs_say(monkeypatch, tmp_path):
    monkeypatch.delenv("LIT_PRECOMPUTE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert class_embeddings_folder() == tmp_path / "lit-precompute/class-embeddings"
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path / "own"))
    assert class_embeddings_folder() == tmp_path / "own/class-embeddings"
