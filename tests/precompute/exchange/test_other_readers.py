"""Exports, read by the programs whose layouts they are: embedding-reader, datasets, pandas, tf.data."""

import json
import pathlib
import subprocess

import numpy as np
import pytest

from lit_precompute.precompute.exchange.files.tf_example import parse
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.exchange.making import imported, keys, vectors, write_dataset
from tests.precompute.exchange.test_exporting import exported

_PYTHON = pathlib.Path(__file__).parents[3] / ".venv-readers/bin/python"

_EMBEDDING_READER = """
import json, sys
from embedding_reader import EmbeddingReader
folder = sys.argv[1]
reader = EmbeddingReader(folder + "/img_emb", metadata_folder=folder + "/metadata", file_format="parquet_npy",
                         meta_columns=["image_path", "caption"])
found = [(vectors.tolist(), meta.image_path.tolist(), meta.caption.tolist())
         for vectors, meta in reader(batch_size=11, show_progress=False)]
vectors, keys, texts = ([row for batch in part for row in batch] for part in zip(*found))
print(json.dumps([vectors, keys, texts]))
"""
_DATASETS = """
import json, sys, datasets
found = datasets.load_from_disk(sys.argv[1])
print(json.dumps([found["embedding"][:], found["key"][:], found["texts"][:]]))
"""
_PANDAS = """
import json, sys, pandas
found = pandas.read_parquet(sys.argv[1])
print(json.dumps([[row.tolist() for row in found.embedding], found.key.tolist(), [list(row) for row in found.texts]]))
"""


def read_with(script, folder):
    """Returns vectors, keys and texts that a script prints."""
    if not _PYTHON.exists():
        pytest.fail(
            "the readers' environment is missing; `make test` sets it up, as does `make readers`", pytrace=False
        )
    result = subprocess.run([_PYTHON, "-c", script, folder], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "script"),
    [("clip-retrieval", _EMBEDDING_READER), ("huggingface", _DATASETS), ("parquet", _PANDAS)],
    ids=["embedding-reader", "datasets", "pandas"],
)
def test_matches_the_other_programs_own_reader(tmp_path, layout, script):
    texts, _ = write_dataset(tmp_path / "dataset")
    exported(layout, tmp_path / "dataset", tmp_path / "export", rows_per_file=7)
    found, names, words = read_with(script, tmp_path / "export")
    np.testing.assert_array_equal(np.array(found, np.float32), vectors(30))
    assert names == keys(0, 30)
    first = [each[0] if each else None for each in texts]
    assert words == (first if layout == "clip-retrieval" else texts)


@pytest.mark.slow
def test_a_missing_shard_that_embedding_reader_overlooks_is_refused(tmp_path):
    write_dataset(tmp_path / "dataset")
    exported("clip-retrieval", tmp_path / "dataset", tmp_path / "export", rows_per_file=10)
    (tmp_path / "export/metadata/metadata_0.parquet").unlink()
    found, names, _ = read_with(_EMBEDDING_READER, tmp_path / "export")
    # It gives the first 20 rows the names of the last 20.
    np.testing.assert_array_equal(np.array(found, np.float32), vectors(30)[:20])
    assert names == keys(10, 20)
    with pytest.raises(SourceError, match="metadata: no file of the number 0"):
        imported("clip-retrieval", tmp_path / "export", tmp_path / "back")


@pytest.mark.slow
def test_matches_tf_data(tmp_path):
    tf = host_tensorflow()
    texts, labels = write_dataset(tmp_path / "dataset")
    exported("tfrecord", tmp_path / "dataset", tmp_path / "export", rows_per_file=7)
    files = sorted(str(path) for path in (tmp_path / "export").glob("train.tfrecord-*-of-00005"))
    features = {
        "key": tf.io.FixedLenFeature([], tf.string),
        "image_embedding": tf.io.FixedLenFeature([6], tf.float32),
        "text_embedding": tf.io.FixedLenFeature([4], tf.float32),
        "texts": tf.io.VarLenFeature(tf.string),
        "caption": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.string),
    }
    rows = [tf.io.parse_single_example(each, features) for each in tf.data.TFRecordDataset(files)]
    np.testing.assert_array_equal(np.array([row["image_embedding"] for row in rows]), vectors(30))
    np.testing.assert_array_equal(np.array([row["text_embedding"] for row in rows]), vectors(30, seed=2, width=4))
    assert [row["key"].numpy().decode() for row in rows] == keys(0, 30)
    assert [row["label"].numpy().decode() for row in rows] == labels
    assert [[text.decode() for text in row["texts"].values.numpy()] for row in rows] == texts
    assert [row["caption"].numpy().decode() for row in rows] == [each[0] if each else "" for each in texts]


@pytest.mark.slow
def test_examples_match_tensorflows():
    tf = host_tensorflow()
    numbers = tf.train.Feature(float_list=tf.train.FloatList(value=[1.5, -2.0]))
    words = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a", b"\xff"]))
    whole = tf.train.Feature(int64_list=tf.train.Int64List(value=[7, -1]))
    features = {"a": numbers, "b": words, "c": whole, "d": tf.train.Feature()}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    found = parse(example.SerializeToString(), "here")
    assert found["a"].tolist() == [1.5, -2.0]
    assert (found["b"], found["c"].tolist(), found["d"]) == ([b"a", b"\xff"], [7, -1], [])
