"""A tar's headers, read once: where its samples begin, what they are called, and where its links lead.

Not here: the images, and the contents of other members, but for the JSON of samples until it is clear what is in it.
"""

from __future__ import annotations

import array
import dataclasses
import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.values import read_label, short
from lit_precompute.precompute.sources.webdataset.tar_links import follow_all
from lit_precompute.precompute.sources.webdataset.tar_members import Member, shown
from lit_precompute.precompute.sources.webdataset.tar_opening import OpenTar
from lit_precompute.precompute.sources.webdataset.tar_samples import (
    Sample,
    SampleRule,
    is_compound_image,
    read_samples,
)
from lit_precompute.precompute.sources.webdataset.tar_words import (
    JSON_SUFFIXES,
    LABEL_SUFFIXES,
    named_suffixes,
    read_json,
)
from lit_precompute.schemas import Note

# Samples of a tar whose JSON is read to see whether there are labels.
_MAX_JSON = 100
# Suffixes, keys of JSON, and the length of a name, that are kept for messages.
_MAX_SUFFIXES = 13
_MAX_JSON_KEYS = 100
_MAX_NAME = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sought:
    """What a look into a tar looks for.

    Attributes:
      columns: the keys in the samples' JSON.
      rule: what a sample is.
      keys: of the JSON that the user named, some of which may be suffixes: some sample must have each.
      max_samples: where the look ends; None for all.
      max_bytes: likewise, bytes of the tar.
    """

    columns: SourceColumns
    rule: SampleRule
    keys: frozenset[str]
    max_samples: int | None = None
    max_bytes: int | None = None

    def is_at_end(self, num_samples: int, position: int) -> bool:
        """Returns whether the look ends here."""
        is_enough = self.max_samples is not None and num_samples >= self.max_samples
        return is_enough or (self.max_bytes is not None and position >= self.max_bytes)


@dataclasses.dataclass(kw_only=True)
class TarScan:
    """The contents of one tar's headers.

    Attributes:
      path: of the tar.
      offsets: where each row begins, and where the last one ends.
      hashes: `hash_keys` of the rows.
      num_links: links that belong to samples.
      digest: of the keys, of the names, sizes and dates of the samples' members, and of where links lead.
      is_whole: whether it was read to its end.
      has_images: whether any sample has an image.
      has_labels: whether any sample has a label.
      suffixes: of the members; a few.
      compound: the name of an image whose suffix has several words, if any.
      json_keys: those in the JSON that was read.
      found: what was found of what was sought.
      num_json: how many were read.
      skipped: why members belong to no sample: how many, and the first.
    """

    path: str
    offsets: array.array = dataclasses.field(default_factory=lambda: array.array("q"))
    hashes: bytearray = dataclasses.field(default_factory=bytearray)
    num_links: int = 0
    digest: Any = dataclasses.field(default_factory=hashlib.sha256)
    is_whole: bool = True
    has_images: bool = False
    has_labels: bool = False
    suffixes: dict[str, None] = dataclasses.field(default_factory=dict)
    compound: str = ""
    json_keys: set[str] = dataclasses.field(default_factory=set)
    found: set[str] = dataclasses.field(default_factory=set)
    num_json: int = 0
    skipped: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)

    def notes(self) -> tuple[Note, ...]:
        """Returns what belongs to no sample."""
        return tuple(Note(what=what, count=count, first=first) for what, (count, first) in self.skipped.items())

    def findings(self) -> dict[str, Any]:
        """Returns what the survey of all tars needs, as JSON of bounded size."""
        return {
            "has_samples": bool(self.hashes),
            "has_images": self.has_images,
            "has_labels": self.has_labels,
            "is_whole": self.is_whole,
            "suffixes": [short(suffix) for suffix in self.suffixes],
            "compound": self.compound,
            "json_keys": [short(key) for key in sorted(self.json_keys)],
            "found": sorted(self.found),
        }


def scan_tar(tar: OpenTar, path: str, prefix: str, sought: Sought, targets: Mapping[int, Member]) -> TarScan:
    """Returns the contents of a tar's headers.

    Args:
      tar: the tar, open, with its JSON kept if it is not read by position.
      path: of the tar.
      prefix: what the keys of its samples begin with.
      sought: what is looked for.
      targets: the file that each link leads to, by the start of the link.

    Raises:
      SourceError: the tar is damaged, or has two members of one name.
    """
    scan = TarScan(path=path)
    scan.digest.update(f"{prefix}\n".encode())
    for start, target in sorted(targets.items()):
        scan.digest.update(f"{start} {target.start} {target.size} {target.check_sum}\n".encode())
    linked = {target.start for target in targets.values()}

    def skip(what: str, member: Member) -> None:
        if member.start not in linked:
            count, first = scan.skipped.get(what, (0, f"{path}:{shown(member.name)}"))
            scan.skipped[what] = count + 1, first

    num_samples, stop = 0, 0
    for sample in read_samples(tar.members(), path, sought.rule, skipped=skip):
        num_samples, stop = num_samples + 1, sample.stop
        scan.offsets.append(sample.start)
        scan.hashes += hash_keys([f"{prefix}/{sample.name}"])
        _look_at(scan, sample, sought)
        parts = follow_all(_json_of(sample), lambda link: targets.get(link.start))
        if parts and (sought.keys - scan.found or not (scan.has_labels or scan.num_json == _MAX_JSON)):
            _look_into_json(scan, parts, tar, sought)
        tar.forget_before(sample.start)
        if sought.is_at_end(num_samples, stop):
            scan.is_whole = False
            break
    scan.offsets.append(stop)
    return scan


def _json_of(sample: Sample) -> dict[str, Member]:
    return {suffix: sample.parts[suffix] for suffix in JSON_SUFFIXES if suffix in sample.parts}


def _look_at(scan: TarScan, sample: Sample, sought: Sought) -> None:
    """Notes what the headers of a sample say."""
    scan.has_images = scan.has_images or sought.rule.image_of(sample) is not None
    scan.has_labels = scan.has_labels or not sample.parts.keys().isdisjoint(LABEL_SUFFIXES)
    scan.found |= {key for _, key, suffix in named_suffixes(sought.columns) if suffix in sample.parts}
    for suffix, member in sample.parts.items():
        scan.digest.update(f"{member.name}\n{member.size}\n{member.check_sum}\n".encode())
        scan.num_links += member.is_link
        if "." in suffix and not scan.compound and is_compound_image(suffix) and len(member.name) <= _MAX_NAME:
            scan.compound = member.name
        if len(scan.suffixes) < _MAX_SUFFIXES:
            scan.suffixes[suffix] = None


def _look_into_json(scan: TarScan, parts: dict[str, Member], tar: OpenTar, sought: Sought) -> None:
    """Reads a sample's JSON for the keys in it."""
    try:
        values, _ = read_json(parts, tar.file.read)
    except ImageError:
        return  # reported when the row is read
    scan.num_json += 1
    scan.json_keys.update(itertools.islice(values, max(_MAX_JSON_KEYS - len(scan.json_keys), 0)))
    scan.found |= sought.keys & values.keys()
    label = sought.columns.label
    scan.has_labels = scan.has_labels or (label in values and not read_label(values, label)[1])
