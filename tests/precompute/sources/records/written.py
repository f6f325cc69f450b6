"""Files of records for tests, written by TensorFlow and array_record themselves."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from array_record.python.array_record_module import ArrayRecordWriter

from lit_precompute.precompute.images.libraries import host_tensorflow

tf = host_tensorflow()


def example(features: Mapping[str, Any]) -> bytes:
    """Returns a serialized tf.Example; values are bytes, texts, numbers or lists of one kind of them."""
    return tf.train.Example(
        features=tf.train.Features(feature={name: _feature(value) for name, value in features.items()})
    ).SerializeToString()


def _feature(value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    if all(isinstance(each, int) for each in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if all(isinstance(each, float) for each in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    encoded = [each.encode() if isinstance(each, str) else each for each in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


def write_tfrecord(path: pathlib.Path, records: Iterable[bytes], compression: str = "") -> str:
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type=compression)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def write_array_record(path: pathlib.Path, records: Iterable[bytes], options: str = "group_size:1") -> str:
    writer = ArrayRecordWriter(str(path), options)
    for record in records:
        writer.write(record)
    writer.close()
    return str(path)
