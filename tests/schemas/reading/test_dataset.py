"""Reading what was written: rows by number, key and range; every fault is reported."""

import pickle
import threading

import hypothesis
import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from array_record.python.array_record_module import ArrayRecordReader
from hypothesis import strategies

from lit_precompute.schemas import DatasetError, DatasetWriter, EmbeddingDataset, captions_table, labels_table
from tests.schemas.making import SOURCE, card, files_of, rows, write


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path)
    return path


@pytest.fixture
def dataset(directory):
    with EmbeddingDataset.open(directory) as opened:
        yield opened


def test_all_rows_come_back_in_order(dataset):
    keys, vectors, texts, labels = rows(50)
    found = list(dataset.blocks())
    assert [key for block in found for key in block["key"].to_pylist()] == keys
    assert [text for block in found for text in block["texts"].to_pylist()] == texts
    assert [label for block in found for label in block["label"].to_pylist()] == labels
    np.testing.assert_array_equal(np.concatenate([block["embedding"] for block in found]), vectors.astype(np.float16))
    assert (len(dataset), dataset.num_rows, dataset.width, dataset.vector_type) == (50, 50, 6, "float16")


def test_all_blocks_but_a_shards_last_are_full(dataset):
    spans = [dataset.block_span(block) for block in range(dataset.num_blocks)]
    # Shards of 20, 20 and 10 rows in blocks of 8.
    assert [stop - start for start, stop in spans] == [8, 8, 4, 8, 8, 4, 8, 2]
    assert [block.first_row for block in dataset.blocks(columns=["key"])] == [start for start, _ in spans]


def test_embeddings_are_views_of_what_was_read(dataset):
    vectors = dataset.read_block(0, ["embedding"])["embedding"]
    assert not vectors.flags.owndata
    assert not vectors.flags.writeable
    assert vectors[2:4].base is not None


@hypothesis.given(strategies.data())
@hypothesis.settings(max_examples=60)
def test_rows_and_take_agree_with_a_plain_copy(directory, data):
    keys, vectors, texts, _ = rows(50)
    start = data.draw(strategies.integers(0, 49))
    stop = data.draw(strategies.integers(start + 1, 50))
    chosen = data.draw(strategies.lists(strategies.integers(0, 49), min_size=1, max_size=20))
    with EmbeddingDataset.open(directory) as dataset:
        for block, places in ((dataset.rows(start, stop), range(start, stop)), (dataset.take(chosen), chosen)):
            assert block["key"].to_pylist() == [keys[place] for place in places]
            assert block["texts"].to_pylist() == [texts[place] for place in places]
            np.testing.assert_array_equal(block["embedding"], vectors[list(places)].astype(np.float16))


def test_a_row_is_found_by_its_key(dataset):
    assert dataset.row_of("image-0033") == 33
    row = dataset.row(33)
    assert (row["key"], row["texts"], row["label"]) == ("image-0033", [], "1")
    with pytest.raises(DatasetError, match="no row has the key 'nobody'"):
        dataset.row_of("nobody")


@pytest.mark.parametrize(("vector_type", "stored"), [("float32", np.float32), ("bfloat16", ml_dtypes.bfloat16)])
def test_every_vector_type_rounds_to_nearest_even(tmp_path, vector_type, stored):
    write(tmp_path, vector_type=vector_type)
    with EmbeddingDataset.open(tmp_path) as dataset:
        found = dataset.rows(0, 50, ["embedding"])["embedding"]
    assert found.dtype == stored
    np.testing.assert_array_equal(found, rows(50)[1].astype(stored))


def test_a_block_can_be_read_with_pyarrow_alone(directory):
    reader = ArrayRecordReader(str(directory / "embeddings/part-00000.arrayrecord"))
    with pa.ipc.open_stream(reader.read([0])[0]) as stream:
        batch = stream.read_next_batch()
    assert batch.schema.names == ["key", "embedding"]
    assert batch.schema.field("embedding").metadata == {b"vector_type": b"float16"}
    np.testing.assert_allclose(batch.column("embedding")[3].as_py(), rows(50)[1][3], rtol=1e-3)


def test_failures_are_a_table_of_their_own(dataset):
    failures = dataset.failures().to_pylist()
    assert [failure["key"] for failure in failures] == ["bad-0", "bad-1"]
    assert failures[0] == {"key": "bad-0", "source": "bad-0.jpg", "reason": "truncated", "message": "ends early"}


def test_some_tables_alone_can_be_opened(directory):
    with EmbeddingDataset.open(directory, tables=["captions"]) as dataset:
        assert dataset.columns == ["key", "texts"]
        with pytest.raises(DatasetError, match=r"unknown column 'embedding'.*\['key', 'texts'\]"):
            dataset.read_block(0, ["embedding"])


def test_several_threads_and_another_process_read_alike(dataset):
    expected = dataset.read_block(3)["embedding"]
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.read_block(3)["embedding"], expected)
    wrong = []

    def read():
        for block in np.random.default_rng().integers(0, dataset.num_blocks, 50):
            found = dataset.read_block(int(block), ["key"])
            if found["key"][0].as_py() != f"image-{dataset.block_span(int(block))[0]:04d}":
                wrong.append(block)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.read_block(8), r"block must be in \[0, 8\), got 8"),
        (lambda d: d.read_block(-1), r"block must be in \[0, 8\), got -1"),
        (lambda d: d.rows(10, 10), r"rows must be within \[0, 50\) and not empty, got \[10, 10\)"),
        (lambda d: d.row(50), r"\[0, 50\)"),
        (lambda d: d.take([3, 50]), r"rows must be within \[0, 50\) and not empty, got \[3, 50\]"),
    ],
)
def test_places_outside_are_index_errors(dataset, call, message):
    with pytest.raises(IndexError, match=message):
        call(dataset)


def _open_changed(tmp_path, change):
    write(tmp_path)
    change(tmp_path)
    return EmbeddingDataset.open(tmp_path)


SHARD = "captions/part-00001.arrayrecord"


def test_a_missing_shard_is_reported_at_opening(tmp_path):
    with pytest.raises(
        DatasetError,
        match=rf"{SHARD}: the file is missing; fetch it again from .*, or embed again into another --output$",
    ):
        _open_changed(tmp_path, lambda path: (path / SHARD).unlink())


def test_a_truncated_file_is_reported_at_opening(tmp_path):
    def cut(path):
        whole = (path / SHARD).read_bytes()
        (path / SHARD).write_bytes(whole[:-100])

    with pytest.raises(DatasetError, match=rf"{SHARD}: must have \d+ bytes, got \d+; the file was truncated"):
        _open_changed(tmp_path, cut)


def test_a_flipped_byte_in_the_data_is_reported_when_read(tmp_path):
    def flip(path):
        data = bytearray((path / SHARD).read_bytes())
        place = data.index(b"text 2") if b"text 2" in data else 65_536 + 200
        data[place] ^= 1
        (path / SHARD).write_bytes(data)

    dataset = _open_changed(tmp_path, flip)
    with pytest.raises(DatasetError, match=rf"{SHARD}: block 0: damaged .*verify the dataset"):
        list(dataset.blocks())


def test_tables_with_different_rows_are_refused(tmp_path):
    """A file swapped with another dataset's of equal size: only the keys, or a checksum, show it."""
    write(tmp_path / "one")
    keys, vectors, texts, labels = rows(50)
    other = tmp_path / "two"
    tables = [captions_table(), labels_table()]
    with DatasetWriter(other, tower=card(), source=SOURCE, tables=tables, rows_per_shard=20, block_rows=8) as writer:
        columns = {"captions": {"texts": texts}, "labels": {"label": labels}}
        writer.write(keys=[f"Image-{key[-4:]}" for key in keys], embeddings=vectors, columns=columns)
    swapped = files_of(other)[SHARD]
    assert len(swapped) == len(files_of(tmp_path / "one")[SHARD])
    (tmp_path / "one" / SHARD).write_bytes(swapped)
    with (
        EmbeddingDataset.open(tmp_path / "one") as dataset,
        pytest.raises(DatasetError, match="tables 'embeddings' and 'captions' have different keys in block 3"),
    ):
        list(dataset.blocks(columns=["embedding", "texts"]))


def test_an_unknown_table_is_an_error(directory):
    with pytest.raises(DatasetError, match=r"unknown table 'tokens': the dataset has \['embeddings', 'captions'"):
        EmbeddingDataset.open(directory, tables=["tokens"])
    with pytest.raises(DatasetError, match="rows of table 'failures' are not the dataset's rows"):
        EmbeddingDataset.open(directory, tables=["failures"])


def test_a_flipped_byte_in_a_file_of_one_block_is_reported_when_read(tmp_path):
    """Arrow itself has no checksums: the vectors would be read, and be wrong."""
    write(tmp_path, 5)
    path = tmp_path / "embeddings/part-00000.arrow"
    data = bytearray(path.read_bytes())
    data[data.index(rows(5)[1].astype(np.float16).tobytes())] ^= 1
    path.write_bytes(data)
    with (
        EmbeddingDataset.open(tmp_path) as dataset,
        pytest.raises(DatasetError, match=r"embeddings/part-00000.arrow: SHA-256 must be"),
    ):
        dataset.row(0)
