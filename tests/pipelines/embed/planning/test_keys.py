"""Keys that only reading tells: none may stand for two rows of a dataset."""

import pytest
import tensorflow as tf

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from tests.pipelines.embed.making import arguments, draw_image, run
from tests.towers.tiny_tower import write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def _write_records(folder, keys_of):
    """Writes TFRecord files of images with the given keys; an image of "bad" is words."""
    folder.mkdir()
    for name, keys in keys_of.items():
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for row, key in enumerate(keys):
                image = b"words" if key == "bad" else draw_image(row)
                features = {"image": image, "id": key.encode(), "text": b"a text"}
                lists = {
                    feature: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for feature, value in features.items()
                }
                example = tf.train.Example(features=tf.train.Features(feature=lists))
                writer.write(example.SerializeToString())


def _command(folder, output):
    weights = write_weights(folder.parent / "weights.npz")
    return arguments(folder, output, weights, image_column="image", key_column="id", rows_per_shard=3)


def test_keys_of_records_that_differ_are_published(tmp_path, monkeypatch):
    _write_records(tmp_path / "records", {"a.tfrecord": ["1", "2", "3", "4"], "b.tfrecord": ["5", "bad", "6"]})
    assert run(monkeypatch, *_command(tmp_path / "records", tmp_path / "out")) == 0
    assert verify(tmp_path / "out") == []
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.keys().to_pylist() == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    ("keys_of", "message"),
    [
        ({"a.tfrecord": ["1", "2"], "b.tfrecord": ["3", "2"]}, "keys must be unique, '2' was first seen at"),
        ({"a.tfrecord": ["1", "2", "1"]}, "keys must be unique, '1' was first seen at"),
        ({"a.tfrecord": ["1", "bad"], "b.tfrecord": ["2", "3", "bad"]}, "keys must be unique, 'bad' was first seen at"),
    ],
)
def test_a_key_that_repeats_in_records_is_an_error_wherever_it_does(tmp_path, monkeypatch, capsys, keys_of, message):
    """In another unit, in the same one, and among failed rows."""
    _write_records(tmp_path / "records", keys_of)
    command = _command(tmp_path / "records", tmp_path / "out")
    for _ in range(2):  # a launch that finds everything embedded compares as well
        assert run(monkeypatch, *command) == 1
        assert message in capsys.readouterr().err.replace("\n", " ")
        assert not (tmp_path / "out/manifest.json").exists()
