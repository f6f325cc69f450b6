"""Training on selected rows: the others take no part, a stopped run resumes exactly, another selection is refused."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.schemas.making import write
from tests.tune.small_runs import (
    EXECUTION,
    NUM_ROWS,
    RECIPE,
    finish,
    has_checkpoint,
    kill_when,
    model_bytes,
    start,
    write_dataset,
)

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
ROWS = np.concatenate([np.arange(7), np.arange(33, NUM_ROWS, 2)])  # blocks have 16 rows
NUM_STEPS = 8 * (len(ROWS) // RECIPE.batch_size)
BY_EPOCHS = dataclasses.replace(RECIPE, num_epochs=8, num_steps=None)


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def selection(dataset_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        return Selection.of_rows(dataset.manifest, ROWS, made_by={})


def _train(dataset_path, output, selection, recipe=BY_EPOCHS, **options):
    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, recipe, output, EXECUTION, selection)
        trainer.run(lambda progress: None, **options)
    return trainer


@pytest.fixture(scope="module")
def finished(dataset_path, selection, tmp_path_factory):
    """Returns the output of a run on the selection, and the numbers of all rows that were in its batches."""
    output, trained = tmp_path_factory.mktemp("runs") / "run", set()
    batch = BatchSource.batch

    def note(self, step):
        found = batch(self, step)
        trained.update(found.row_numbers.tolist())
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchSource, "batch", note)
        assert _train(dataset_path, output, selection).num_steps == NUM_STEPS
    return output, trained


def test_rows_that_are_not_selected_take_no_part(finished, dataset_path, tmp_path):
    """Neither in batches nor in the tokenizer: other texts there change nothing."""
    output, trained = finished
    assert trained == {*ROWS.tolist()}
    with EmbeddingDataset.open(dataset_path) as dataset:
        texts = dataset.rows(0, NUM_ROWS, ["texts"])["texts"].to_pylist()
    texts = [own if row in ROWS else ["never seen"] for row, own in enumerate(texts)]
    other_path = write_dataset(tmp_path / "other", texts=texts)
    with EmbeddingDataset.open(other_path) as dataset:
        same_rows = Selection.of_rows(dataset.manifest, ROWS, made_by={})
    _train(other_path, tmp_path / "run", same_rows)
    assert model_bytes(tmp_path / "run") == model_bytes(output)


def test_run_and_model_name_the_selection_and_refuse_another(finished, dataset_path, selection, tmp_path):
    output, _ = finished
    noted = json.loads((output / "run.json").read_text())
    assert noted["selection"] == {"digest": selection.digest, "num_selected": len(ROWS)}
    training = json.loads((output / "model/tuned_model.json").read_text())["training"]
    assert (training["selection_digest"], training["num_pairs"]) == (selection.digest, len(ROWS))
    with EmbeddingDataset.open(dataset_path) as dataset:
        other = Selection.of_rows(dataset.manifest, ROWS[1:], made_by={})
        for asked, words in [(other, f"there, '{other.digest}' was requested"), (None, "there, None was requested")]:
            with pytest.raises(ValueError, match=rf"selection\.digest is '{selection.digest}' {words}"):
                Trainer(dataset, BY_EPOCHS, output, EXECUTION, asked)


def test_a_stopped_run_resumes_exactly(finished, dataset_path, selection, tmp_path):
    with pytest.raises(TrainingStopped):
        _train(dataset_path, tmp_path / "run", selection, should_stop=lambda: True)
    assert _train(dataset_path, tmp_path / "run", selection).first_step == 1
    assert model_bytes(tmp_path / "run") == model_bytes(finished[0])


@pytest.mark.slow
def test_a_killed_run_resumes_exactly(dataset_path, selection, tmp_path):
    selection.save(tmp_path / "rows.selection")
    flags = ("--selection", str(tmp_path / "rows.selection"))
    output = tmp_path / "killed"
    process = start(dataset_path, output, *flags)
    assert kill_when(process, has_checkpoint(output, 8))
    finish(process)
    status, printed, errors = finish(start(dataset_path, output, *flags))
    assert status == 0, errors
    assert f"{len(ROWS)} pairs of {dataset_path}, selected by {tmp_path / 'rows.selection'}" in printed
    assert "resuming after step" in printed
    _train(dataset_path, tmp_path / "whole", selection, RECIPE)
    assert model_bytes(output) == model_bytes(tmp_path / "whole")


def test_refuses_selections_that_cannot_be_trained_on(dataset_path, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        manifest = dataset.manifest
    nothing, few = np.zeros(0, np.int64), np.arange(9)
    for selection, words in [
        (Selection.of_rows(manifest, nothing, made_by={}), f"none of the {NUM_ROWS} rows of .* is selected"),
        (
            Selection.of_rows(manifest, few, made_by={}),
            "<= 9, the number of rows with a text that are selected and not held out, got 16",
        ),
        (Selection.of_rows(write(tmp_path / "d"), few, made_by={}), "was made of the rows of another dataset"),
    ]:
        with pytest.raises(ValueError, match=words):
            _train(dataset_path, tmp_path / "run", selection)
    assert not (tmp_path / "run").exists()
