"""A row from a serialized tf.Example.

Promises: an image that is missing or of another type fails its own row, in words that say what is there; a text or
label that cannot be used is left out and noted; a key that cannot be used is an error. TensorFlow is imported when the
first record is read.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NoReturn

from lit_precompute.precompute.images.errors import ImageError, Reason
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.precompute.images.reading import LargeFileError, ReadImage
from lit_precompute.precompute.sources.records.features import Features, first_of
from lit_precompute.precompute.sources.records.files import RawRecord
from lit_precompute.precompute.sources.source import Example, SourceError
from lit_precompute.precompute.sources.values import listed, read_key, read_label, read_texts

_KINDS = {"int64_list": "numbers", "float_list": "numbers", None: "empty"}


@dataclasses.dataclass(frozen=True)
class Record:
    """A record of a file.

    Attributes:
      number: its place in the file, from 0.
      where: its place in words.
      features: by name, as protocol buffers; None if it is no tf.Example.
    """

    number: int
    where: str
    features: Mapping[str, Any] | None

    @property
    def there(self) -> Mapping[str, Any]:
        """The features; none if it is no tf.Example."""
        return self.features or {}


def parse_record(raw: RawRecord, path: str) -> Record:
    """Returns a record of the file at `path` from its bytes."""
    example, decode_error = _protocol_buffers()
    where = f"{path}, record {raw.number}"
    try:
        return Record(raw.number, where, dict(example.FromString(raw.data).features.feature))
    except decode_error:
        return Record(raw.number, where, None)


def make_example(
    record: Record, features: Features, key_feature: str | None, default_key: str, *, has_labels: bool
) -> Example:
    """Returns a record's row.

    Args:
      record: the record.
      features: what its features mean.
      key_feature: the feature of the key; None for the default.
      default_key: the key that its number gives.
      has_labels: whether labels are kept.

    Raises:
      SourceError: the key's feature is missing or unusable.
    """
    read_image, notes = _image(record, features)
    texts: list[str] = []
    for name in dict.fromkeys(first_of(names, record.there) for names in (features.text, features.texts)):
        found, left_out = _texts(record, name, features)
        texts, notes = texts + found, notes + left_out
    named: dict[str, tuple[str, ...]] = {}
    for column, name in features.named.items():
        found, left_out = _texts(record, name, features)
        named[column], notes = tuple(found), notes + left_out
    label, left_out = _label(record, features)
    if label and not has_labels:
        label, left_out = "", ["label, which no record had where planning looked, left out"]
    return Example(
        key=record_key(record, key_feature, default_key),
        source=record.where,
        read_image=read_image,
        texts=tuple(dict.fromkeys(texts)),
        label=label,
        notes=tuple(dict.fromkeys([*notes, *left_out])),
        named=named,
    )


def record_key(record: Record, key_feature: str | None, default_key: str) -> str:
    """Returns a record's key; that of bytes which are no tf.Example is the default.

    Raises:
      SourceError: the key's feature is missing or unusable.
    """
    if key_feature is None or record.features is None:
        return default_key

    def fault(message: str) -> SourceError:
        return SourceError(f"{record.where}: {message}")

    value, left_out = _value(record, key_feature, {})
    if key_feature not in record.features or left_out:
        why = left_out[0] if left_out else f"no feature {key_feature!r}; there are {listed(sorted(record.features))}"
        raise fault(f"every record must have a key: {why}; --key-column chooses another feature")
    return read_key({key_feature: value}, key_feature, fault)


def _image(record: Record, features: Features) -> tuple[ReadImage, list[str]]:
    """Returns what reads the image, and notes."""
    if record.features is None:
        return _failing("unreadable", f"{record.where}: not a tf.Example"), []
    name = first_of(features.image, record.features)
    if name is None:
        there_are = f"there are {listed(sorted(record.features))}"
        return _failing("missing", f"{record.where}: no feature {' or '.join(features.image)}; {there_are}"), []
    kind = record.features[name].WhichOneof("kind")
    if kind != "bytes_list":
        return _failing("unreadable", f"{record.where}: {name!r} must be bytes, and is {_KINDS[kind]}"), []
    images = record.features[name].bytes_list.value
    if not images:
        return _failing("missing", f"{record.where}: {name!r} is empty"), []
    notes = [f"another image in {name!r}, left out"] if len(images) > 1 else []
    return functools.partial(_give, images[0]), notes


def _texts(record: Record, name: str | None, features: Features) -> tuple[list[str], list[str]]:
    """Returns the texts in a feature, and notes."""
    if name is None:
        return [], []
    value, notes = _value(record, name, features.classes)
    texts, left_out = read_texts({name: value}, name)
    return [text for text in map(str.strip, texts) if text], notes + left_out


def _label(record: Record, features: Features) -> tuple[str, list[str]]:
    """Returns the label, "" for none, and notes."""
    name = first_of(features.label, record.there)
    if name is None:
        return "", []
    value, notes = _value(record, name, features.classes)
    label, left_out = read_label({name: value}, name)
    return label, notes + left_out


def _value(record: Record, name: str, classes: Mapping[str, tuple[str, ...]]) -> tuple[Any, list[str]]:
    """Returns a feature as JSON would have it, a value or a list of them or None, and notes.

    Args:
      record: the record.
      name: of the feature.
      classes: the names of the classes, for features that number them; -1 means none.
    """
    feature = record.there.get(name)
    kind = None if feature is None else feature.WhichOneof("kind")
    if feature is None or kind is None:
        return None, []
    values, notes = list(getattr(feature, kind).value), []
    if kind == "bytes_list":
        decoded = [_decoded(item) for item in values]
        values = [item for item in decoded if item is not None]
        notes = [f"{name!r} is not UTF-8, left out"] if len(values) < len(decoded) else []
    elif kind == "int64_list" and (names := classes.get(name)):
        values = [names[item] if item < len(names) else item for item in values if item >= 0]
    return (values[0] if len(values) == 1 else values or None), notes


def _decoded(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def _failing(reason: Reason, message: str) -> ReadImage:
    return functools.partial(_fail, reason, message)


def _fail(reason: Reason, message: str, max_bytes: int | None = None) -> NoReturn:
    raise ImageError(reason, message)


def _give(data: bytes, max_bytes: int | None = None) -> bytes:
    if max_bytes is not None and len(data) > max_bytes:
        raise LargeFileError(f"{len(data):,} bytes")
    return data


@functools.cache
def _protocol_buffers() -> tuple[Any, type[Exception]]:
    """Returns tf.train.Example, and what parsing it raises."""
    example = host_tensorflow().train.Example  # registers what google.protobuf needs
    from google.protobuf.message import DecodeError

    return example, DecodeError
