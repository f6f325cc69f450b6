"""A run is identified by the tables that it reads, not by all tables of the dataset."""

import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.training.run_directory import RunDirectory
from tests.schemas.making import TAGS, add_table
from tests.tune.small_runs import NUM_ROWS, RECIPE, write_dataset


def claim(dataset_path, output):
    directory = RunDirectory(output)
    with EmbeddingDataset.open(dataset_path) as dataset:
        directory.claim(dataset, RECIPE)
    directory.release()


def test_an_added_table_does_not_make_another_run(tmp_path):
    dataset = write_dataset(tmp_path / "dataset")
    claim(dataset, tmp_path / "run")
    noted = (tmp_path / "run/run.json").read_bytes()
    add_table(dataset, TAGS, {"tags": [["a"]] * NUM_ROWS})
    claim(dataset, tmp_path / "run")
    assert (tmp_path / "run/run.json").read_bytes() == noted


def test_a_changed_table_is_refused_by_name(tmp_path):
    claim(write_dataset(tmp_path / "dataset"), tmp_path / "run")
    captions = write_dataset(tmp_path / "captions", texts=[["word0"]] * NUM_ROWS)
    with pytest.raises(
        ValueError, match=r"belongs to another training run: dataset\.tables\.captions is '\w{64}' there, '\w{64}' was"
    ) as e:
        claim(captions, tmp_path / "run")
    assert "embeddings" not in str(e.value)
    with pytest.raises(ValueError, match=r"another training run: dataset\.tables\.embeddings is") as e:
        claim(write_dataset(tmp_path / "embeddings", scale=2.0), tmp_path / "run")
    assert "captions" not in str(e.value)


def test_a_url_is_refused():
    with pytest.raises(ValueError, match="--output gs://bucket/run: must be a local path"):
        RunDirectory("gs://bucket/run")
