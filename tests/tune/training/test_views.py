"""Training on random views and on other tables of embeddings; and all of it killed and resumed at once."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import (
    EXECUTION,
    NUM_ROWS,
    RECIPE,
    finish,
    has_checkpoint,
    kill_when,
    metric_lines,
    model_bytes,
    start,
    train,
    write_dataset,
    write_with_views,
)

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
VIEWS = [f"embeddings-view{view}" for view in (1, 2, 3)]


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_with_views(tmp_path_factory.mktemp("data") / "dataset")


def with_data(**options):
    return dataclasses.replace(RECIPE, data=DataOptions(**options))


def vectors_of(path, table):
    with EmbeddingDataset.open(path, tables=[table]) as dataset:
        return dataset.rows(0, dataset.num_rows).vectors()


def test_trains_on_views_and_validates_on_the_plain_table(dataset_path, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        recipe = dataclasses.replace(with_data(views=True, held_out=16), num_steps=6)
        trainer = Trainer(dataset, recipe, tmp_path / "run", EXECUTION)
        views = [vectors_of(dataset_path, table) for table in VIEWS]
        seen = set()
        for step in range(15):
            batch = trainer.batches.batch(step)
            for row, vector in zip(batch.row_numbers, batch.images.to_float32(), strict=True):
                (view,) = [view for view in range(3) if np.array_equal(views[view][row], vector)]
                seen.add((int(row), view))
        assert len(seen) > 1.5 * 80  # of 80 rows in three epochs and three views: 2.1 for each are expected
        result = trainer.run(lambda progress: None)
    plain = vectors_of(dataset_path, "embeddings")
    used = np.concatenate([view[16:] for view in views]).astype(np.float64)
    mean = np.load(tmp_path / "run/standardisation/mean.npy")
    np.testing.assert_allclose(mean, used.mean(axis=0), rtol=1e-6)
    assert not np.allclose(mean, plain[16:].mean(axis=0), rtol=1e-4)
    assert {*result.minival} >= {"loss"}
    noted = json.loads((tmp_path / "run/run.json").read_text())
    assert sorted(noted["dataset"]["tables"]) == sorted(["captions", "embeddings", *VIEWS])
    assert (noted["order"]["num_views"], noted["dataset"]["fingerprint"]) == (3, "0" * 64)


def test_another_table_of_embeddings_is_trained_on(dataset_path, tmp_path):
    """As on a dataset whose plain table has these embeddings."""
    train(dataset_path, tmp_path / "run", dataclasses.replace(with_data(table=VIEWS[1]), num_steps=4))
    noted = json.loads((tmp_path / "run/run.json").read_text())["dataset"]
    assert (noted["fingerprint"], sorted(noted["tables"])) == (f"{2:064x}", ["captions", VIEWS[1]])
    mean = np.load(tmp_path / "run/standardisation/mean.npy")
    np.testing.assert_allclose(mean, vectors_of(dataset_path, VIEWS[1]).astype(np.float64).mean(axis=0), rtol=1e-6)
    card = json.loads((tmp_path / "run/model/tuned_model.json").read_text())["image_tower"]
    assert card["fingerprint"] == f"{2:064x}"


def test_refuses_views_and_tables_that_are_not_there(dataset_path, tmp_path):
    bare = write_dataset(tmp_path / "bare")
    with pytest.raises(
        ValueError, match=r"bare: data\.views needs the table 'embeddings-view1' .*lit-embed run --views N"
    ):
        train(bare, tmp_path / "run", with_data(views=True))
    with pytest.raises(
        ValueError, match=r"data\.table must be one of its tables of embeddings, embeddings, .*got 'captions'"
    ):
        train(dataset_path, tmp_path / "run", with_data(table="captions"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_datasets_with_views_and_held_out_rows_killed_resume_exactly(dataset_path, tmp_path):
    other = write_with_views(tmp_path / "other", num_views=2, num_rows=40, scale=2.0)
    recipe = with_data(mixture="alternate", views=True, held_out=20)
    execution = dataclasses.replace(EXECUTION, validate_every_steps=7)
    flags = ("--dataset", other)
    whole, output = tmp_path / "whole", tmp_path / "killed"
    status, _, errors = finish(start(dataset_path, whole, *flags, recipe=recipe, execution=execution))
    assert status == 0, errors
    for step in (4, 16):
        process = start(dataset_path, output, *flags, recipe=recipe, execution=execution)
        assert kill_when(process, has_checkpoint(output, step))
        finish(process)
    status, printed, errors = finish(start(dataset_path, output, *flags, recipe=recipe, execution=execution))
    assert status == 0, errors
    assert f"{NUM_ROWS - 20 + 40} pairs of 2 datasets" in printed and "resuming after step" in printed
    assert f"the first 20 rows of {dataset_path} are held out" in printed
    assert "minival after step 24: image to text R@1" in printed
    assert model_bytes(output) == model_bytes(whole)
    assert metric_lines(output) == metric_lines(whole)
