"""Which run an output belongs to: by the tables that it reads, and only once it has trained."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.training.run_directory import RunDirectory
from tests.schemas.making import TAGS, add_table
from tests.tune.small_runs import NUM_ROWS, RECIPE, write_dataset

ORDER = {"kind": "rows"}


def claim(dataset_path, output, recipe=RECIPE, order=ORDER):
    directory = RunDirectory(output)
    with EmbeddingDataset.open(dataset_path) as dataset:
        try:
            directory.claim(dataset, recipe, order)
        finally:
            directory.release()


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def test_a_check_writes_nothing(dataset_path, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        assert not RunDirectory(tmp_path / "run").check(dataset, RECIPE)
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_not_trained_gives_way_to_a_corrected_one(dataset_path, tmp_path):
    """Even its order of rows; what was prepared for it goes, too."""
    claim(dataset_path, tmp_path / "run")
    (tmp_path / "run/tokenizer").mkdir()
    (tmp_path / "run/checkpoints/4.orbax-checkpoint-tmp").mkdir(parents=True)
    claim(dataset_path, tmp_path / "run")
    assert (tmp_path / "run/tokenizer").exists()
    claim(dataset_path, tmp_path / "run", order={"kind": "windows"})
    assert not (tmp_path / "run/tokenizer").exists()
    claim(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, batch_size=8))
    noted = json.loads((tmp_path / "run/run.json").read_text())
    assert (noted["order"], noted["recipe"]["batch_size"]) == (ORDER, 8)


@pytest.mark.parametrize("trained", ["model/tuned_model.json", "checkpoints/4/_METADATA", "metrics.jsonl"])
def test_a_run_that_has_trained_keeps_its_output(dataset_path, tmp_path, trained):
    claim(dataset_path, tmp_path / "run")
    path = tmp_path / "run" / trained
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match=r"recipe\.batch_size is 16 there, 8 was requested"):
        claim(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, batch_size=8))
    with pytest.raises(ValueError, match=r"order\.kind is 'rows' there, 'windows' was requested"):
        claim(dataset_path, tmp_path / "run", order={"kind": "windows"})
    assert path.exists()


def test_a_file_in_the_way_is_refused_before_any_work(dataset_path, tmp_path):
    (tmp_path / "file").write_text("")
    with EmbeddingDataset.open(dataset_path) as dataset:
        for output in (tmp_path / "file", tmp_path / "file/deeper/run"):
            with pytest.raises(OSError, match="file: is a file; choose another --output"):
                RunDirectory(output).check(dataset, RECIPE)


def test_what_a_kill_left_of_a_model_is_removed(dataset_path, tmp_path):
    claim(dataset_path, tmp_path / "run")
    (tmp_path / "run/.model.0123abcd").mkdir()
    (tmp_path / "run/.model.0123abcd/parameters.safetensors").write_bytes(b"half")
    claim(dataset_path, tmp_path / "run")
    assert not list((tmp_path / "run").glob(".model*"))


def test_an_added_table_does_not_make_another_run(tmp_path):
    dataset = write_dataset(tmp_path / "dataset")
    claim(dataset, tmp_path / "run")
    noted = (tmp_path / "run/run.json").read_bytes()
    add_table(dataset, TAGS, {"tags": [["a"]] * NUM_ROWS})
    claim(dataset, tmp_path / "run")
    assert (tmp_path / "run/run.json").read_bytes() == noted


def test_a_changed_table_is_refused_by_name(tmp_path):
    claim(write_dataset(tmp_path / "dataset"), tmp_path / "run")
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 1}\n')
    captions = write_dataset(tmp_path / "captions", texts=[["word0"]] * NUM_ROWS)
    with pytest.raises(
        ValueError, match=r"belongs to another training run: dataset\.tables\.captions is '\w{64}' there, '\w{64}' was"
    ) as e:
        claim(captions, tmp_path / "run")
    assert "embeddings" not in str(e.value)
    with pytest.raises(ValueError, match=r"another training run: dataset\.tables\.embeddings is") as e:
        claim(write_dataset(tmp_path / "embeddings", scale=2.0), tmp_path / "run")
    assert "captions" not in str(e.value)


@pytest.mark.parametrize("content", ["", "[1]", "[" * 200_000])
def test_a_damaged_note_is_refused_with_its_path(dataset_path, tmp_path, content):
    claim(dataset_path, tmp_path / "run")
    (tmp_path / "run/run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run/run\.json: .*(not JSON|JSON object).*; choose another --output$"):
        claim(dataset_path, tmp_path / "run")
    (tmp_path / "run/model").mkdir()
    with (
        EmbeddingDataset.open(dataset_path) as dataset,
        pytest.raises(ValueError, match=r"run/run\.json: .*; choose another --output$"),
    ):
        RunDirectory(tmp_path / "run").is_finished(dataset, RECIPE)


def test_a_url_is_refused():
    with pytest.raises(ValueError, match="--output gs://bucket/run: must be a local path"):
        RunDirectory("gs://bucket/run")


def test_a_run_on_all_rows_refuses_a_selection_once_it_has_trained(dataset_path, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        selection = Selection.of_rows(dataset.manifest, np.array([1, 2]), made_by={})
        claim(dataset_path, tmp_path / "run")
        assert "selection" not in json.loads((tmp_path / "run/run.json").read_text())
        directory = RunDirectory(tmp_path / "run", selection)
        assert not directory.check(dataset, RECIPE)  # what has not trained gives way
        (tmp_path / "run/metrics.jsonl").write_text("a step\n")
        with pytest.raises(ValueError, match=rf"selection\.digest is None there, '{selection.digest}' was requested"):
            directory.check(dataset, RECIPE)
        directory.release()


def test_a_run_of_one_dataset_that_began_before_there_were_several_resumes(dataset_path, tmp_path):
    """The note has the same form, but for the part of the recipe that came later."""
    claim(dataset_path, tmp_path / "run")
    path = tmp_path / "run/run.json"
    noted = json.loads(path.read_text())
    assert list(noted) == ["format_version", "dataset", "recipe", "order"]
    assert list(noted["dataset"]) == ["tower", "fingerprint", "num_rows", "tables"]
    assert (noted["format_version"], list(noted["dataset"]["tables"])) == (2, ["embeddings", "captions"])
    del noted["recipe"]["data"]
    path.write_text(json.dumps(noted))
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 1}\n')
    with EmbeddingDataset.open(dataset_path) as dataset:
        directory = RunDirectory(tmp_path / "run")
        assert directory.check(dataset, RECIPE, ORDER)
        directory.release()
