"""Tables that the package does not know: written as given, read back, and checked by the same rules as the others."""

import numpy as np
import pytest

from lit_precompute.schemas import (
    DatasetError,
    DatasetWriter,
    EmbeddingDataset,
    captions_table,
    embeddings_table,
    failures_table,
)
from lit_precompute.schemas.checking.verification import verify
from tests.schemas.making import SOURCE, TAGS, card, rows


def view_table(vector_type):
    """Another view of the images: its column has the same name as that of `embeddings`."""
    return embeddings_table(4, vector_type).model_copy(update={"name": "view-2"})


def write(directory, tables, columns, count=20, vector_type="float16"):
    keys, vectors, _, _ = rows(count)
    options = {"tables": tables, "vector_type": vector_type, "rows_per_shard": 9, "block_rows": 4}
    with DatasetWriter(directory, tower=card(), source=SOURCE, **options) as writer:
        for start in range(0, count, 7):
            cut = slice(start, start + 7)
            pieces = {table: {name: value[cut] for name, value in own.items()} for table, own in columns.items()}
            writer.write(keys=keys[cut], embeddings=vectors[cut], columns=pieces)
    return keys, vectors


@pytest.mark.parametrize("vector_type", ["float32", "int8"])
@pytest.mark.parametrize("stored_type", ["float16", "int8"])
def test_tables_of_a_users_own_are_read_back(tmp_path, vector_type, stored_type):
    tags = [["big", "red ☂"][: row % 3] for row in range(20)]
    view = np.random.default_rng(1).integers(-127, 128, (20, 4)).astype(np.float32)
    view[:, 0] = 127  # so that int8 is exact
    columns = {"tags": {"tags": tags}, "view-2": {"embedding": view}}
    keys, _ = write(tmp_path, [TAGS, view_table(vector_type)], columns, vector_type=stored_type)
    assert verify(tmp_path) == []
    with EmbeddingDataset.open(tmp_path) as dataset:
        assert [table.name for table in dataset.manifest.tables] == ["embeddings", "tags", "view-2", "failures"]
        assert dataset.rows(0, 20)["tags"].to_pylist() == tags
        # Of two columns of the same name, the first table's is read, with its own scales if any.
        block = dataset.read_block(0, ["embedding"])
        assert set(block.columns) == ({"embedding", "embedding_scale"} if stored_type == "int8" else {"embedding"})
        assert block.vectors().shape == (4, 6)
    with EmbeddingDataset.open(tmp_path, tables=["view-2"]) as dataset:
        found = dataset.rows(0, 20)
        assert found["key"].to_pylist() == keys
        np.testing.assert_array_equal(found.vectors(), view)


def test_a_dataset_may_have_embeddings_alone(tmp_path):
    keys, vectors = write(tmp_path, [], {}, vector_type="float32")
    assert verify(tmp_path) == []
    with EmbeddingDataset.open(tmp_path) as dataset:
        assert dataset.tables == ["embeddings"]
        assert dataset.keys().to_pylist() == keys
        np.testing.assert_array_equal(dataset.rows(0, 20)["embedding"], vectors)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([TAGS, TAGS], r"names must differ, .* got \['embeddings', 'tags', 'tags', 'failures'\]"),
        ([embeddings_table(6, "float32")], "the writer adds 'embeddings' and 'failures'"),
        ([failures_table()], "the writer adds 'embeddings' and 'failures'"),
        ([TAGS.model_copy(update={"aligned": False})], "'tags' must be aligned"),
    ],
)
def test_invalid_tables_are_refused(tmp_path, tables, message):
    with pytest.raises(DatasetError, match=message):
        DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=tables)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, r"must be given for the tables \['captions', 'tags'\], got \[\]"),
        ({"captions": {"texts": [[]]}}, r"for the tables \['captions', 'tags'\], got \['captions'\]"),
        ({"captions": {"texts": [[]]}, "tags": {"tags": []}}, r"equally long, got .*'tags.tags': 0"),
        ({"captions": {"texts": [[]]}, "tags": {"words": [[]]}}, r"'tags': columns must be \['key', 'tags'\]"),
        ({"captions": {"texts": [[]]}, "tags": {"tags": [1]}}, r"'tags': column 'tags' takes list<"),
    ],
)
def test_columns_that_do_not_fit_the_tables_are_refused(tmp_path, columns, message):
    with (
        pytest.raises(DatasetError, match=message),
        DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=[captions_table(), TAGS]) as writer,
    ):
        writer.write(keys=["a"], embeddings=np.zeros((1, 6)), columns=columns)
