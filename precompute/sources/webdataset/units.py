"""Tar files in webdataset's layout: images and their texts, many samples per file.

Promises: opening reads every header once and no image; a unit is then read by its byte offsets alone. A sample's key is
"<tar's name without .tar>/<sample's name>", which does not depend on the folder. A sample without an image, or with a
member that cannot be read, becomes a failed row and is never skipped.

Not here: compressed tars, whose rows cannot be read by position (refused), and audio or video.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lit_precompute.precompute.sources.files import Finder, Opener, open_first
from lit_precompute.precompute.sources.planning import check_repeats, cut_units, repeated_hashes
from lit_precompute.precompute.sources.source import Example, SourceColumns, SourceError, WorkUnit, source_tables
from lit_precompute.precompute.sources.values import short
from lit_precompute.precompute.sources.webdataset.tar_links import follow_all, with_links
from lit_precompute.precompute.sources.webdataset.tar_paths import find_tars
from lit_precompute.precompute.sources.webdataset.tar_rows import cut_in_words, make_example, sample_key
from lit_precompute.precompute.sources.webdataset.tar_samples import (
    IMAGE_SUFFIXES,
    SampleName,
    SampleRule,
    read_samples,
)
from lit_precompute.precompute.sources.webdataset.tar_scan import TarScan, scan_tar
from lit_precompute.precompute.sources.webdataset.tar_words import SharedFile
from lit_precompute.schemas import Note, SourceInfo, TableSchema
from lit_precompute.schemas.wording import counted
from lit_precompute.schemas.writing.publishing import add_up

# Suffixes that a message lists.
_MAX_LISTED = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class WebdatasetSource:
    """See `Source`. Made by `open_tars`."""

    columns: SourceColumns
    rule: SampleRule
    opener: Opener
    info: SourceInfo
    num_rows: int
    has_labels: bool
    notes: tuple[Note, ...]
    offsets: tuple[tuple[str, np.ndarray], ...] | None = dataclasses.field(repr=False, compare=False)
    links: Mapping[str, np.ndarray] | None = dataclasses.field(repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # Workers get units, which carry their own offsets and links.
        return {**self.__dict__, "offsets": None, "links": None}

    @property
    def extent(self) -> str:
        """Its tars."""
        return counted(len(self.info.files), "tar")

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        """The tables that the source has values for."""
        return source_tables(has_labels=self.has_labels)

    def units(self, rows_per_shard: int) -> list[WorkUnit]:
        """Returns the samples cut into units, which may span tars."""
        assert self.offsets is not None, "units are planned where the source was opened, not on a worker"
        units = cut_units(self.offsets, rows_per_shard)
        return [with_links(unit, self.links) for unit in units] if self.links else units

    def read(self, unit: WorkUnit) -> Iterator[Example]:
        """Yields the unit's samples; see `Source.read`. Images are read from the tar on request."""
        for part in unit.files:
            num_found, group, links = -part.num_before, -1, dict(part.links)
            with self.opener(part.path) as stream:
                shared = SharedFile(self.opener, part.path)
                for sample in read_samples(stream, part.path, self.rule, part.start, part.stop):
                    if num_found == part.num_rows and sample.start == group:
                        break  # the rest of these mixed samples belongs to the next unit
                    num_found, group = num_found + 1, sample.start
                    if 0 < num_found <= part.num_rows:
                        parts = follow_all(sample.parts, links, stream, part.path)
                        whole = dataclasses.replace(sample, parts=parts)
                        yield make_example(whole, shared, self.rule, self.columns, has_labels=self.has_labels)
            if num_found != part.num_rows:
                raise SourceError(
                    f"{part.path}: bytes {part.start} to {part.stop} had {part.num_rows} samples when the job was "
                    f"planned and have {num_found} now; the tar changed: start again with a new output directory"
                )


def open_tars(
    path: str, columns: SourceColumns, opener: Opener, find: Finder, sample_name: SampleName = "first-dot"
) -> WebdatasetSource:
    """Returns the samples of a tar, a pattern of tars or a folder of tars, by their headers.

    Raises:
      SourceError: no such file, a damaged or compressed tar, no samples, no images, a missing key, a repeated key.
    """
    rule = SampleRule.of(columns, sample_name)
    if not columns.is_default("key"):
        raise SourceError(
            f"{path}: a key column {columns.key!r} is for tables; in tars a row's key is the sample's name"
        )
    paths = find_tars(path, find)
    sought = {getattr(columns, field) for field in ("text", "texts", "label") if not columns.is_default(field)}
    scans = [scan_tar(tar, columns, rule, opener, sought) for tar in paths]
    _check_scans(path, scans, rule, sought)
    suspects = repeated_hashes(np.concatenate([np.frombuffer(scan.hashes, np.int64) for scan in scans]))
    if suspects:
        hint = "rename the tars or the samples, and keep the members of a sample together"
        check_repeats(_keys(paths, rule, opener), suspects, hint)
    return WebdatasetSource(
        columns=columns,
        rule=rule,
        opener=opener,
        info=_info(path, columns, sample_name, scans),
        num_rows=sum(len(scan.hashes) for scan in scans),
        has_labels=any(scan.has_labels for scan in scans),
        notes=tuple(add_up(note for scan in scans for note in scan.notes.values())),
        offsets=tuple((scan.path, np.frombuffer(scan.offsets, np.int64)) for scan in scans),
        links={scan.path: scan.link_pairs() for scan in scans if scan.links},
    )


def _check_scans(path: str, scans: Sequence[TarScan], rule: SampleRule, sought: set[str]) -> None:
    """Refuses tars in which nothing can be embedded, or which lack a key that the user named."""
    there_are = _listed(suffix for scan in scans for suffix in scan.suffixes)
    if not any(scan.hashes for scan in scans):
        tars = counted(len(scans), "tar")
        raise SourceError(f"{path}: no samples in {tars}; members must be named like 0001.jpg, 0001.txt")
    if not any(scan.has_images for scan in scans):
        if rule.image:
            raise SourceError(
                f"{path}: no sample has a member {rule.image!r}, the image that was asked for; {there_are}"
            )
        usual = f"no sample has an image, that is, a member named .{', .'.join(IMAGE_SUFFIXES)}; {there_are}"
        compound = next((scan.compound for scan in scans if scan.compound), None)
        raise SourceError(f"{path}: {usual}" + (f"; {cut_in_words(compound, rule)}" if compound else ""))
    if sought:
        there_are = _listed(sorted(key for scan in scans for key in scan.json_keys))
        raise SourceError(f"{path}: no sample's JSON has {min(sought)!r}; {there_are}; .txt and .cls need no option")


def _listed(names: Iterable[str]) -> str:
    """Returns the first of some names in words, each once."""
    unique = list(dict.fromkeys(names))
    more = ", ..." if len(unique) > _MAX_LISTED else ""
    return f"there are {', '.join(map(short, unique[:_MAX_LISTED])) or 'none'}{more}"


def _info(path: str, columns: SourceColumns, sample_name: SampleName, scans: Sequence[TarScan]) -> SourceInfo:
    # Tars are too large to hash before work begins; their headers reveal changed names, sizes or dates.
    headers = "".join(scan.headers_sha256 for scan in scans)
    options = {
        "columns": dataclasses.asdict(columns),
        "headers_sha256": hashlib.sha256(headers.encode()).hexdigest(),
        # Absent by default, as before there was a choice.
        **({} if sample_name == "first-dot" else {"sample_name": sample_name}),
    }
    files = [{"path": scan.path, "bytes": scan.num_bytes, "sha256": None} for scan in scans]
    return SourceInfo.model_validate({"kind": "webdataset", "path": path, "files": files, "options": options})


def _keys(paths: Iterable[str], rule: SampleRule, opener: Opener) -> Iterator[tuple[str, str]]:
    """Yields (key, its place) of each sample."""
    for path in paths:
        with open_first(path, opener) as stream:
            for sample in read_samples(stream, path, rule):
                yield sample_key(path, sample.name), f"{path}, byte {sample.start}"
