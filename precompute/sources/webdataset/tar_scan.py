"""A tar's headers, read once: where its samples begin, what they are called, and where its links lead.

Not here: the images, and the contents of other members, but for the JSON of samples until it is clear what is in it.
"""

from __future__ import annotations

import array
import dataclasses
import hashlib
from typing import BinaryIO

import numpy as np

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.files import Opener, open_first
from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.precompute.sources.values import read_label
from lit_precompute.precompute.sources.webdataset.tar_links import find_targets, follow_all
from lit_precompute.precompute.sources.webdataset.tar_members import Member, shown
from lit_precompute.precompute.sources.webdataset.tar_rows import sample_key
from lit_precompute.precompute.sources.webdataset.tar_samples import (
    Sample,
    SampleRule,
    is_compound_image,
    read_samples,
)
from lit_precompute.precompute.sources.webdataset.tar_words import JSON_SUFFIXES, LABEL_SUFFIXES, SharedFile, read_json
from lit_precompute.schemas import Note

# Samples of a tar whose JSON is read to see whether there are labels.
_MAX_JSON = 100
# Suffixes that a message lists.
_MAX_SUFFIXES = 12


@dataclasses.dataclass(kw_only=True)
class TarScan:
    """The contents of one tar's headers.

    Attributes:
      path: of the tar.
      num_bytes: its size.
      offsets: where each row begins, and where the last one ends.
      hashes: of each row's key.
      num_links: links that belong to samples.
      links: for each link that leads to a file, where its header and that of the file begin; by position.
      headers_sha256: of the names, sizes and dates of the samples' members.
      has_images: whether any sample has an image.
      has_labels: whether any sample has a label.
      suffixes: of the members; a few.
      compound: an image whose suffix has several words, if any.
      json_keys: those in the JSON that was read.
      num_json: how many were read.
      notes: what belongs to no sample.
    """

    path: str
    num_bytes: int = 0
    offsets: array.array = dataclasses.field(default_factory=lambda: array.array("q"))
    hashes: array.array = dataclasses.field(default_factory=lambda: array.array("q"))
    num_links: int = 0
    links: dict[int, int] = dataclasses.field(default_factory=dict)
    headers_sha256: str = ""
    has_images: bool = False
    has_labels: bool = False
    suffixes: dict[str, None] = dataclasses.field(default_factory=dict)
    compound: Member | None = None
    json_keys: set[str] = dataclasses.field(default_factory=set)
    num_json: int = 0
    notes: dict[str, Note] = dataclasses.field(default_factory=dict)

    def link_pairs(self) -> np.ndarray:
        """Returns `links` as int64 [links, 2]."""
        return np.array(list(self.links.items()), np.int64)

    def skip(self, what: str, member: Member) -> None:
        """Notes a member that belongs to no sample."""
        first = self.notes.get(what) or Note(what=what, count=1, first=f"{self.path}:{shown(member.name)}")
        self.notes[what] = first.model_copy(update={"count": first.count + 1}) if what in self.notes else first


def scan_tar(path: str, columns: SourceColumns, rule: SampleRule, opener: Opener, sought: set[str]) -> TarScan:
    """Returns the contents of a tar's headers.

    Args:
      path: of the tar.
      columns: the keys in the samples' JSON.
      rule: what a sample is.
      opener: opens the tar.
      sought: keys that must be in some JSON; those that are found are removed.

    Raises:
      SourceError: the tar cannot be opened, is damaged or compressed, or has two members of one name.
    """
    file = SharedFile(opener, path)
    with open_first(path, opener) as stream:
        scan = _scan(stream, file, columns, rule, sought, {})
        if scan.num_links:
            scan = _scan(stream, file, columns, rule, sought, find_targets(stream, path))
        return scan


def _scan(
    stream: BinaryIO,
    file: SharedFile,
    columns: SourceColumns,
    rule: SampleRule,
    sought: set[str],
    targets: dict[int, Member],
) -> TarScan:
    scan = TarScan(path=file.path, links={start: targets[start].start for start in sorted(targets)})
    digest, stop = hashlib.sha256(), 0
    for start, target in sorted(targets.items()):
        digest.update(f"{start} {target.start} {target.size} {target.check_sum}\n".encode())
    linked = set(scan.links.values())

    def skip(what: str, member: Member) -> None:
        if member.start not in linked:
            scan.skip(what, member)

    for sample in read_samples(stream, file.path, rule, skipped=skip):
        stop = sample.stop
        scan.offsets.append(sample.start)
        scan.hashes.append(hash(sample_key(file.path, sample.name)))
        scan.has_images = scan.has_images or rule.image_of(sample) is not None
        scan.has_labels = scan.has_labels or not sample.parts.keys().isdisjoint(LABEL_SUFFIXES)
        for suffix, member in sample.parts.items():
            digest.update(f"{member.name}\n{member.size}\n{member.check_sum}\n".encode())
            scan.num_links += member.is_link
            if "." in suffix and scan.compound is None and is_compound_image(suffix):
                scan.compound = member
            if len(scan.suffixes) < _MAX_SUFFIXES:
                scan.suffixes[suffix] = None
        looks = bool(sought) or not (scan.has_labels or scan.num_json == _MAX_JSON)
        if looks and not sample.parts.keys().isdisjoint(JSON_SUFFIXES):
            _look_into(scan, sample, file, columns.label, sought, stream)
    scan.offsets.append(stop)
    scan.num_bytes = stream.seek(0, 2)
    scan.headers_sha256 = digest.hexdigest()
    return scan


def _look_into(scan: TarScan, sample: Sample, file: SharedFile, label: str, sought: set[str], stream: BinaryIO) -> None:
    """Reads a sample's JSON, if any, for the keys in it."""
    json = {suffix: sample.parts[suffix] for suffix in JSON_SUFFIXES if suffix in sample.parts}
    try:
        values, _ = read_json(follow_all(json, scan.links, stream, file.path), file)
    except ImageError:
        return  # reported when the row is read
    scan.num_json += 1
    scan.json_keys.update(values)
    sought.difference_update(values)
    scan.has_labels = scan.has_labels or (label in values and not read_label(values, label)[1])
