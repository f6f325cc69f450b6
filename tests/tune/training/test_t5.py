"""A tiny T5 trains, resumes to the same bits after being killed, and gives the same embeddings once reloaded."""

import dataclasses

import jax
import numpy as np
import pytest

from lit_precompute.towers.text import T5TextOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.tune.small_runs import (
    RECIPE,
    finish,
    has_checkpoint,
    kill_when,
    metric_lines,
    model_bytes,
    start,
    train,
    write_dataset,
)

pytestmark = [pytest.mark.standard_promotion, pytest.mark.slow]  # optax's Adam needs it
TOWER = T5TextOptions(
    width=16, depth=2, num_heads=3, head_width=4, mlp_width=24, feed_forward="gated_gelu", vocabulary_rows=32
)
RECIPE = dataclasses.replace(RECIPE, text_tower=TOWER, num_steps=20)
TEXTS = ["word1 word2", "word3", "something else"]


def test_trains_resumes_after_sigkill_and_reloads(tmp_path):
    dataset, output = write_dataset(tmp_path / "dataset"), tmp_path / "killed"
    train(dataset, tmp_path / "unbroken", RECIPE)
    losses = [line["loss"] for line in metric_lines(tmp_path / "unbroken")]
    assert len(losses) == 20 and losses[-1] < 0.9 * losses[0]
    killed = 0
    for step in (4, 12):
        process = start(dataset, output, recipe=RECIPE)
        killed += kill_when(process, has_checkpoint(output, step))
        finish(process)
    assert killed == 2
    status, _, errors = finish(start(dataset, output, recipe=RECIPE))
    assert status == 0, errors
    assert model_bytes(output) == model_bytes(tmp_path / "unbroken")
    model = TunedModel.load(output)
    assert model.recipe.text_tower == TOWER
    tokens = model.tokenizer.encode(TEXTS, RECIPE.text.max_tokens)
    expected = np.asarray(jax.jit(model.sides.text.apply)(dict(model.text_parameters), tokens))
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed_texts(TEXTS), expected, atol=1e-6)
    np.testing.assert_array_equal(TunedModel.load(output).embed_texts(TEXTS), model.embed_texts(TEXTS))
