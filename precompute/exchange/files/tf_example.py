"""tf.Example messages, read and written without TensorFlow.

Source: tensorflow/core/example/example.proto and feature.proto.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from lit_precompute.precompute.sources.source import SourceError

_Field = descriptor_pb2.FieldDescriptorProto
_KINDS = (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List"))
_TYPES = {"BytesList": _Field.TYPE_BYTES, "FloatList": _Field.TYPE_FLOAT, "Int64List": _Field.TYPE_INT64}


def parse(data: bytes, where: str) -> Mapping[str, Any]:
    """Returns the features of a serialized message: arrays of numbers, or lists of byte strings, by name.

    Raises:
      SourceError: it is no tf.Example.
    """
    try:
        features = _example_class().FromString(data).features.feature
        return {name: _values(feature) for name, feature in features.items()}
    except (DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{where}: not a tf.Example") from error


def serialize(features: Mapping[str, Any]) -> bytes:
    """Returns a message with floats (arrays), texts (lists of strings), features in the order of their names."""
    example = _example_class()()
    for name, values in features.items():
        if isinstance(values, np.ndarray):
            example.features.feature[name].float_list.MergeFromString(_packed(values))
        else:
            example.features.feature[name].bytes_list.value.extend(value.encode() for value in values)
    return example.SerializeToString(deterministic=True)


def texts_of(values: Sequence[Any] | np.ndarray[Any, Any] | None) -> list[Any]:
    """Returns a feature's values as texts or numbers; bytes that are not UTF-8 stay bytes."""
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [_decoded(value) for value in values or ()]


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _values(feature: Any) -> Any:
    kind = feature.WhichOneof("kind")
    if kind is None:
        return []
    values = getattr(feature, kind).value
    if kind == "bytes_list":
        return list(values)
    if kind == "int64_list":
        return np.array(values, np.int64)
    # The message of a list of floats ends with their bytes; taking them one by one takes ten times as long.
    data = feature.float_list.SerializeToString()
    return np.frombuffer(data, "<f4", len(values), len(data) - 4 * len(values)).astype(np.float32, copy=False)


def _packed(values: np.ndarray[Any, Any]) -> bytes:
    """Returns the message of a list of floats: its field's number and type, the number of bytes, the bytes."""
    data, size = values.astype("<f4", copy=False).tobytes(), b""
    length = len(data)
    while length > 0x7F:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return b"\x0a" + size + bytes([length]) + data


@functools.cache
def _example_class() -> Any:
    """Returns the class of the messages, from a pool of its own: TensorFlow registers the same names elsewhere."""
    file = descriptor_pb2.FileDescriptorProto(
        name="lit_precompute_example.proto", package="tensorflow", syntax="proto3"
    )
    for name, kind in _TYPES.items():
        options = descriptor_pb2.FieldOptions(packed=True) if kind != _Field.TYPE_BYTES else None
        file.message_type.add(name=name).field.add(
            name="value", number=1, label=_Field.LABEL_REPEATED, type=kind, options=options
        )
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(_KINDS, 1):
        feature.field.add(
            name=name,
            number=number,
            label=_Field.LABEL_OPTIONAL,
            type=_Field.TYPE_MESSAGE,
            type_name=f".tensorflow.{kind}",
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry", options=descriptor_pb2.MessageOptions(map_entry=True))
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_MESSAGE, type_name=".tensorflow.Feature"
    )
    features.field.add(
        name="feature",
        number=1,
        label=_Field.LABEL_REPEATED,
        type=_Field.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
    )
    example = file.message_type.add(name="Example")
    example.field.add(
        name="features",
        number=1,
        label=_Field.LABEL_OPTIONAL,
        type=_Field.TYPE_MESSAGE,
        type_name=".tensorflow.Features",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
