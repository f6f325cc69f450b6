"""Training on several datasets: what takes part, what a run notes, exact resumes, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.tune.data.joined_dataset import JoinedDataset
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.model.standardisation import vector_statistics
from lit_precompute.tune.training.progress import TrainingStopped
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
    tower_card,
    write_dataset,
)

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
ALTERNATE = dataclasses.replace(RECIPE, data=DataOptions(mixture="alternate"), num_steps=12)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Two datasets of different sizes and stored types."""
    folder = tmp_path_factory.mktemp("data")
    return [
        write_dataset(folder / "large"),
        write_dataset(folder / "small", num_rows=40, scale=2.0, vector_type="int8"),
    ]


def train_on(paths, output, recipe=ALTERNATE, selections=(), **options):
    datasets = [EmbeddingDataset.open(path) for path in paths]
    try:
        trainer = Trainer(datasets, recipe, output, EXECUTION, selections)
        trainer.run(lambda progress: None, **options)
    finally:
        for dataset in datasets:
            dataset.close()
    return trainer


@pytest.fixture(scope="module")
def finished(paths, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "run"
    train_on(paths, output)
    return output


def test_run_and_model_name_all_datasets(finished, paths):
    digests = []
    for path in paths:
        with EmbeddingDataset.open(path) as dataset:
            digests.append(dataset.manifest.digest)
    noted = json.loads((finished / "run.json").read_text())
    assert "dataset" not in noted
    assert [each["num_rows"] for each in noted["datasets"]] == [NUM_ROWS, 40]
    assert [sorted(each["tables"]) for each in noted["datasets"]] == [["captions", "embeddings"]] * 2
    assert (noted["order"]["kind"], noted["order"]["1.num_rows"]) == ("alternate", 40)
    training = json.loads((finished / "model/tuned_model.json").read_text())["training"]
    assert (training["dataset_digests"], training["num_pairs"]) == (digests, NUM_ROWS + 40)


def test_another_set_of_datasets_is_refused_once_trained(finished, paths):
    for given in (paths[:1], paths[::-1]):
        with pytest.raises(ValueError, match=r"belongs to another training run: .* there, .* was requested"):
            train_on(given, finished)


def test_a_stopped_run_resumes_exactly(finished, paths, tmp_path):
    with pytest.raises(TrainingStopped):
        steps = iter(range(1, 99))
        train_on(paths, tmp_path / "run", should_stop=lambda: next(steps) == 5)
    assert train_on(paths, tmp_path / "run").first_step == 5
    assert model_bytes(tmp_path / "run") == model_bytes(finished)
    assert metric_lines(tmp_path / "run") == metric_lines(finished)


def test_statistics_are_of_all_rows_together(finished, paths):
    opened = [EmbeddingDataset.open(path) for path in paths]
    vectors = np.concatenate([each.rows(0, each.num_rows).vectors() for each in opened]).astype(np.float64)
    mean, deviation = vector_statistics(JoinedDataset(opened))
    np.testing.assert_allclose(mean, vectors.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, vectors.std(axis=0), rtol=1e-12)
    saved = {name: np.load(finished / "standardisation" / f"{name}.npy") for name in ("mean", "deviation")}
    np.testing.assert_array_equal(saved["mean"], mean.astype(np.float32))
    np.testing.assert_array_equal(saved["deviation"], deviation.astype(np.float32))
    for each in opened:
        each.close()


def test_selections_find_their_datasets(paths, tmp_path):
    """In any order; joined, all and only the selected rows are seen."""
    joined = dataclasses.replace(RECIPE, num_steps=8)
    opened = [EmbeddingDataset.open(path) for path in paths]
    chosen = [np.arange(0, NUM_ROWS, 2), np.arange(3, 40, 3)]
    selections = [Selection.of_rows(each.manifest, rows, made_by={}) for each, rows in zip(opened, chosen, strict=True)]
    trainer = Trainer(opened, joined, tmp_path / "run", EXECUTION, selections[::-1])
    assert [share.num_rows for share in trainer.shares] == [48, 13]
    seen = {row for step in range(12) for row in trainer.batches.batch(step).row_numbers.tolist()}
    assert seen == {*chosen[0].tolist(), *(NUM_ROWS + chosen[1]).tolist()}
    trainer.run(lambda progress: None)
    noted = json.loads((tmp_path / "run/run.json").read_text())
    assert [each["selection"]["num_selected"] for each in noted["datasets"]] == [48, 13]
    with pytest.raises(DatasetError, match=r"selects rows of .*large, and so does selection; combine the two"):
        Trainer(opened, joined, tmp_path / "other", EXECUTION, [selections[0], selections[0]])
    with (
        pytest.raises(
            DatasetError, match=r"was made of the rows of none of the datasets: .*large has \w{64}; .*small has"
        ),
        EmbeddingDataset.open(write_dataset(tmp_path / "third", scale=3.0)) as third,
    ):
        Trainer(opened, joined, tmp_path / "other", EXECUTION, Selection.of_rows(third.manifest, chosen[0], made_by={}))
    for each in opened:
        each.close()


def test_refuses_datasets_that_do_not_go_together(paths, tmp_path):
    other = write_dataset(tmp_path / "other", tower=tower_card("0" * 64))
    for given, words in [
        ([], "at least one dataset must be given"),
        ([paths[0], paths[0]], r"large: has the digest \w{64}, as .*large has; give each dataset once"),
        (
            [paths[0], other],
            rf"other: cannot be mixed with .*large: .* has the fingerprint {'0' * 64}, .* has {'f' * 64}",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            train_on(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_killed_command_with_two_datasets_resumes_exactly(paths, tmp_path):
    recipe = dataclasses.replace(RECIPE, data=DataOptions(mixture="0.7,0.3"))
    train_on(paths, tmp_path / "whole", recipe)
    output = tmp_path / "killed"
    flags = ("--dataset", paths[1])
    process = start(paths[0], output, *flags, recipe=recipe)
    assert kill_when(process, has_checkpoint(output, 8))
    finish(process)
    status, printed, errors = finish(start(paths[0], output, *flags, recipe=recipe))
    assert status == 0, errors
    assert f"{NUM_ROWS + 40} pairs of 2 datasets" in printed and f"  {paths[1]}: 40 pairs, " in printed
    assert "resuming after step" in printed
    assert model_bytes(output) == model_bytes(tmp_path / "whole")
    assert metric_lines(output) == metric_lines(tmp_path / "whole")
