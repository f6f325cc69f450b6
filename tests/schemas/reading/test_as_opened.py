"""A dataset whose shards are replaced while it is open: the rows of the manifest that was read, or an error."""

import pytest

from lit_precompute.schemas import DatasetError, DatasetWriter, EmbeddingDataset, captions_table, labels_table
from tests.schemas.making import SOURCE, TAGS, add_table, card, rows, write

NUM_ROWS = 20  # in blocks of eight, so in containers, whose bytes are not compared as they are read


def _write_without(directory, missing):
    """Writes the same dataset as `write`, but for one row, which has failed."""
    keys, vectors, texts, labels = rows(NUM_ROWS + 1)
    kept = [row for row in range(NUM_ROWS + 1) if row != missing]
    tables = [captions_table(), labels_table()]
    options = {"rows_per_shard": NUM_ROWS, "block_rows": 8, "vector_type": "float16", "tables": tables}
    writer = DatasetWriter(directory, tower=card(), source=SOURCE, **options)
    writer.write(
        keys=[keys[row] for row in kept],
        embeddings=vectors[kept],
        columns={
            "captions": {"texts": [texts[row] for row in kept]},
            "labels": {"label": [labels[row] for row in kept]},
        },
    )
    writer.fail(key=keys[missing], source="late.jpg", reason="missing", message="no such file")
    writer.close()


def _withdraw(directory):
    """Does to a dataset what a job does that embeds failed rows again: its files are replaced one by one."""
    (directory / "manifest.json").unlink()


@pytest.fixture
def dataset(tmp_path):
    """A dataset that lacks row 3, opened."""
    _write_without(tmp_path / "dataset", 3)
    with EmbeddingDataset.open(tmp_path / "dataset") as dataset:
        yield dataset


def test_a_shard_that_was_replaced_since_is_refused(tmp_path, dataset):
    """Its first block has as many rows as before, with keys that agree in all tables: rows after the third moved."""
    _withdraw(tmp_path / "dataset")
    _write_without(tmp_path / "dataset", NUM_ROWS)
    with pytest.raises(DatasetError, match=r"dataset: shard 0 has been changed since the dataset was opened; open it"):
        dataset.read_block(0)
    with EmbeddingDataset.open(tmp_path / "dataset") as again:
        assert again.row(3)["key"] == "image-0003"


def test_a_file_that_is_open_keeps_its_rows_and_another_is_refused_while_there_is_no_manifest(tmp_path, dataset):
    before = dataset.read_block(0, ["embedding"])["embedding"].copy()
    _withdraw(tmp_path / "dataset")
    assert (dataset.read_block(0, ["embedding"])["embedding"] == before).all()
    with pytest.raises(DatasetError, match=r"dataset: is being changed since it was opened; open it again later \(.*"):
        dataset.read_block(0, ["texts"])


def test_a_table_that_was_added_since_changes_nothing(tmp_path):
    directory = tmp_path / "dataset"
    write(directory)
    with EmbeddingDataset.open(directory) as dataset:
        add_table(directory, TAGS, {"tags": [["a"]] * 50})
        assert dataset.row(3)["key"] == "image-0003"
