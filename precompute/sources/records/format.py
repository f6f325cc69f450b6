"""Files of tf.Example records, and TFDS's folders of them, as formats of sources."""

from __future__ import annotations

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.formats import Format, Place
from lit_precompute.precompute.sources.listing import ends_in
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec

_ENDINGS = {
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
    ".tfrec": "tfrecord",
    ".tfrecord.gz": "tfrecord",
    ".tfrecords.gz": "tfrecord",
    ".array_record": "array-record",
    ".arrayrecord": "array-record",
}


def endings_of(name: str) -> tuple[str, ...]:
    """Returns what the names of a format's files end in."""
    return tuple(ending for ending, each in _ENDINGS.items() if each == name)


def _make_records(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> Source:
    from lit_precompute.precompute.sources.records.source import make_records

    return make_records(spec, name, opener, find)


def _make_tfds(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> Source:
    from lit_precompute.precompute.sources.records.tfds import make_tfds

    return make_tfds(spec, opener, find)


def _is_tfds(place: Place) -> str | None:
    # Hugging Face's folders have a dataset_info.json, too, but no records.
    names = place.inside
    return "tfds" if "dataset_info.json" in names and any(ends_in(name, *_ENDINGS) for name in names) else None


TFDS = Format(
    names=("tfds",),
    endings={},
    make=_make_tfds,
    described="a folder that TFDS wrote",
    plural="TFDS folders",
    options=frozenset({"split"}),
    in_folder=_is_tfds,
)
RECORDS = Format(
    names=("tfrecord", "array-record"),
    endings=_ENDINGS,
    make=_make_records,
    described="a .tfrecord or .array_record file",
    plural="files of records",
)
