"""Stored text embeddings as a source of texts: as stored, aligned with the images, in memory and in windows."""

import numpy as np
import pytest

from lit_precompute.schemas import (
    ColumnSchema,
    DatasetError,
    DatasetWriter,
    EmbeddingDataset,
    SourceInfo,
    TableSchema,
)
from lit_precompute.schemas.vectors import StoredVectors, numpy_type
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.stored_texts import StoredTexts, info_of, opened_with
from lit_precompute.tune.data.text_options import TextOptions
from tests.tune.small_runs import WIDTH, tower_card

NUM_ROWS, TEXT_WIDTH = 60, 5
TYPES = ["float32", "float16", "bfloat16", "int8"]
WITHOUT_TEXT = [3, 40]


def _table(name, vector_type):
    columns = [
        ColumnSchema(name="key", type="string"),
        ColumnSchema(name="text_embedding", type="vector", width=TEXT_WIDTH, vector_type=vector_type),
    ]
    if vector_type == "int8":
        columns.append(ColumnSchema(name="text_embedding_scale", type="scale"))
    return TableSchema(name=name, columns=columns)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A dataset with a table of each type; the first feature of image and text is the row's number."""
    path = tmp_path_factory.mktemp("stored") / "dataset"
    rng = np.random.default_rng(0)
    images, texts = (rng.standard_normal((NUM_ROWS, width)).astype(np.float32) for width in (WIDTH, TEXT_WIDTH))
    images[:, 0] = texts[:, 0] = np.arange(NUM_ROWS) + 1
    texts[WITHOUT_TEXT] = 0
    names = {f"text-embeddings-{each}": each for each in TYPES}
    with DatasetWriter(
        path,
        tower=tower_card(),
        source=SourceInfo(kind="table", path="none", files=[]),
        tables=[_table(name, each) for name, each in names.items()],
        vector_type="float32",
        block_rows=8,
    ) as writer:
        writer.write(
            keys=[f"row{number}" for number in range(NUM_ROWS)],
            embeddings=images,
            columns={name: {"text_embedding": texts} for name in names},
        )
    return str(path)


def _batches(dataset, vector_type, budget=1 << 30):
    texts = ChosenTexts({"texts": StoredTexts(dataset, f"text-embeddings-{vector_type}")}, TextOptions())
    return BatchSource(dataset, texts, batch_size=10, seed=0, memory_budget_bytes=budget)


@pytest.mark.parametrize("vector_type", TYPES)
def test_batches_have_the_stored_vectors_of_their_rows(path, vector_type):
    table = f"text-embeddings-{vector_type}"
    with EmbeddingDataset.open(path, tables=["embeddings", table]) as dataset:
        whole = dataset.rows(0, NUM_ROWS).stored("text_embedding")
        resident, windowed = _batches(dataset, vector_type), _batches(dataset, vector_type, budget=3000)
        assert (resident.in_memory, windowed.in_memory) == (True, False)
        assert (resident.num_rows, resident.num_rows_without_text) == (NUM_ROWS - 2, 2)
        seen: list[int] = []
        for source in (resident, windowed):
            for step in range(7):
                batch = source.batch(step)
                assert isinstance(batch.texts.inputs, StoredVectors)
                assert batch.texts.inputs.numbers.dtype == numpy_type(vector_type)
                np.testing.assert_array_equal(batch.texts.inputs.numbers, whole.numbers[batch.row_numbers])
                assert (batch.texts.inputs.scales is None) == (vector_type != "int8")
                if batch.texts.inputs.scales is not None:
                    np.testing.assert_array_equal(batch.texts.inputs.scales, whole.scales[batch.row_numbers])
                np.testing.assert_array_equal(batch.images.numbers[:, 0], batch.row_numbers + 1)
                seen += batch.row_numbers.tolist()
            source.close()
        assert not set(seen) & set(WITHOUT_TEXT)


def test_the_right_table_is_read_where_several_are_open(path):
    with EmbeddingDataset.open(path) as dataset:
        assert opened_with(dataset, "text-embeddings-float32") is dataset
        other = opened_with(dataset, "text-embeddings-int8")
        source = StoredTexts(other, "text-embeddings-int8")
        assert source.read(other.read_block(0, source.columns), np.arange(2)).all()[0].dtype == np.uint8
        assert info_of(dataset, "text-embeddings-int8") is None
        other.close()
        with pytest.raises(DatasetError, match="text-embeddings-none"):
            opened_with(dataset, "text-embeddings-none")
