"""Text towers that end in attention pooling or an MLP: 20 steps, killed, resumed to the bit, loaded and exported."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.tune.model.exporting import export_model
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.tune.small_runs import (
    EXECUTION,
    RECIPE,
    WIDTH,
    finish,
    has_checkpoint,
    kill_when,
    metric_lines,
    model_bytes,
    start,
    write_dataset,
)

TOWERS = {
    "attention and an MLP": {"pooling": "attention", "head": "mlp"},
    "the end token, no head": {"pooling": "end", "head": "none", "width": WIDTH, "max_positions": 9},
}


@pytest.mark.slow
@pytest.mark.parametrize("options", TOWERS.values(), ids=TOWERS)
def test_a_killed_run_resumes_in_the_same_bits_and_its_model_loads(tmp_path, options):
    dataset = write_dataset(tmp_path / "dataset")
    recipe = dataclasses.replace(RECIPE, num_steps=20, text_tower=dataclasses.replace(RECIPE.text_tower, **options))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    status, _, errors = finish(start(dataset, whole, recipe=recipe, execution=EXECUTION))
    assert status == 0, errors
    process = start(dataset, killed, recipe=recipe, execution=EXECUTION)
    assert kill_when(process, has_checkpoint(killed, 8))
    finish(process)
    status, text, errors = finish(start(dataset, killed, recipe=recipe, execution=EXECUTION))
    assert status == 0, errors
    assert "resuming after step" in text
    assert model_bytes(killed) == model_bytes(whole)
    assert metric_lines(killed) == metric_lines(whole)
    model = TunedModel.load(killed)
    embeddings = model.embed_texts(["word1 word2", "word3"])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    card = json.loads((killed / "model" / "tuned_model.json").read_text())
    assert options.items() <= card["recipe"]["text_tower"].items()
    model.save(tmp_path / "again")
    np.testing.assert_array_equal(TunedModel.load(tmp_path / "again").embed_texts(["word1 word2", "word3"]), embeddings)
    for names in ("transformers", "big_vision"):
        export_model(model, tmp_path / names, names)
