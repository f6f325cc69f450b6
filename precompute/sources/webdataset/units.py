"""Tar files in webdataset's layout: images and their texts, many samples per file.

Promises: opening reads every header once and no image; a unit is then read by its byte offsets alone. A sample's key is
"<tar's name without .tar>/<sample's name>", which does not depend on the folder. A sample without an image, or with
JSON that cannot be read, becomes a failed row and is never skipped.

Not here: compressed tars, whose rows cannot be read by position (refused), and audio or video.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from lit_precompute.precompute.images.decoding import ImageError
from lit_precompute.precompute.sources.source import (
    Example,
    Finder,
    Opener,
    SourceColumns,
    SourceError,
    WorkUnit,
    check_repeats,
    cut_units,
    open_first,
    repeated_hashes,
    source_tables,
)
from lit_precompute.precompute.sources.webdataset.tar_paths import find_tars
from lit_precompute.precompute.sources.webdataset.tar_samples import Sample, read_samples
from lit_precompute.precompute.sources.webdataset.tar_words import SharedFile, read_json, read_words, text_names
from lit_precompute.schemas import Note, SourceInfo, TableSchema

# Where a sample has several images, the first of these is taken.
IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WebdatasetSource:
    """See `Source`. Made by `open_tars`."""

    columns: SourceColumns
    opener: Opener
    info: SourceInfo
    num_rows: int
    has_labels: bool
    offsets: tuple[tuple[str, np.ndarray], ...] | None = dataclasses.field(repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # Workers get units, which carry their own offsets.
        return {**self.__dict__, "offsets": None}

    @property
    def extent(self) -> str:
        """Its tars."""
        num_tars = len(self.info.files)
        return f"{num_tars:,} tar{'s' * (num_tars != 1)}"

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was skipped in the tars."""
        return ()

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        """The tables that the source has values for."""
        return source_tables(has_labels=self.has_labels)

    def units(self, rows_per_shard: int) -> list[WorkUnit]:
        """Returns the samples cut into units, which may span tars."""
        assert self.offsets is not None, "units are planned where the source was opened, not on a worker"
        return cut_units(self.offsets, rows_per_shard)

    def read(self, unit: WorkUnit) -> Iterator[Example]:
        """Yields the unit's samples; see `Source.read`. Images are read from the tar on request."""
        for part in unit.files:
            num_rows = 0
            with self.opener(part.path) as stream:
                shared = SharedFile(self.opener, part.path)
                for sample in read_samples(stream, part.path, part.start, part.stop):
                    num_rows += 1
                    yield self._example(sample, shared)
            if num_rows != part.num_rows:
                raise SourceError(
                    f"{part.path}: bytes {part.start} to {part.stop} had {part.num_rows} samples when the job was "
                    f"planned and have {num_rows} now; the tar changed: start again with a new output directory"
                )

    def _example(self, sample: Sample, file: SharedFile) -> Example:
        key = sample_key(file.path, sample.name)
        image = next((sample.parts[suffix] for suffix in IMAGE_SUFFIXES if suffix in sample.parts), None)
        texts, label = (), ""
        try:
            texts, label = read_words(sample, file, self.columns)
            if image is None:
                raise ImageError("missing", f"no image in the sample, only {', '.join(sorted(sample.parts))}")
            read_image = functools.partial(file.read, image)
        except ImageError as error:
            read_image = functools.partial(_fail, error.reason, error.message)
        where = f"{file.path}:{image.name if image else sample.name}"
        return Example(key=key, source=where, read_image=read_image, texts=texts, label=label)


def _fail(reason: Any, message: str) -> NoReturn:
    raise ImageError(reason, message)


def sample_key(path: str, name: str) -> str:
    """Returns the key of a sample: the tar's name, without folder and .tar, then the sample's name."""
    return f"{path.rpartition('/')[2].removesuffix('.tar')}/{name}"


def open_tars(path: str, columns: SourceColumns, opener: Opener, find: Finder) -> WebdatasetSource:
    """Returns the samples of a tar, a pattern of tars or a folder of tars, by their headers.

    Raises:
      SourceError: no such file, a damaged or compressed tar, no samples, no images, no texts, a repeated key.
    """
    paths = find_tars(path, find)
    scans = [_scan_tar(tar, columns, opener) for tar in paths]
    num_rows = sum(len(scan.hashes) for scan in scans)
    if num_rows == 0:
        raise SourceError(
            f"{path}: no samples in {len(paths)} tar files; members must be named like 0001.jpg, 0001.txt"
        )
    if not any(scan.has_images for scan in scans):
        raise SourceError(f"{path}: no sample has an image, that is, a member named .{', .'.join(IMAGE_SUFFIXES)}")
    suspects = repeated_hashes(np.concatenate([np.frombuffer(scan.hashes, np.int64) for scan in scans]))
    if suspects:
        hint = "rename the tars or the samples, and keep the members of a sample together"
        check_repeats(_keys(paths, opener), suspects, hint)
    return WebdatasetSource(
        columns=columns,
        opener=opener,
        info=_info(path, columns, scans),
        num_rows=num_rows,
        has_labels=any(scan.has_labels for scan in scans),
        offsets=tuple((scan.path, np.frombuffer(scan.offsets, np.int64)) for scan in scans),
    )


def _info(path: str, columns: SourceColumns, scans: Sequence[_Scan]) -> SourceInfo:
    # Tars are too large to hash before work begins; their headers reveal changed names, sizes or dates.
    headers = "".join(scan.headers_sha256 for scan in scans)
    return SourceInfo.model_validate(
        {
            "kind": "webdataset",
            "path": path,
            "files": [{"path": scan.path, "bytes": scan.num_bytes, "sha256": None} for scan in scans],
            "options": {
                "columns": dataclasses.asdict(columns),
                "headers_sha256": hashlib.sha256(headers.encode()).hexdigest(),
            },
        }
    )


@dataclasses.dataclass(kw_only=True)
class _Scan:
    """The contents of one tar's headers."""

    path: str
    num_bytes: int
    offsets: array.array
    hashes: array.array
    has_images: bool
    has_labels: bool
    headers_sha256: str


def _scan_tar(path: str, columns: SourceColumns, opener: Opener) -> _Scan:
    offsets, hashes, digest = array.array("q"), array.array("q"), hashlib.sha256()
    has_images = has_labels = has_json = False
    stop = 0
    with open_first(path, opener) as stream:
        file = SharedFile(opener, path)
        for sample in read_samples(stream, path):
            offsets.append(sample.start)
            hashes.append(hash(sample_key(path, sample.name)))
            for member in sample.parts.values():
                digest.update(f"{member.name}\n{member.size}\n{member.check_sum}\n".encode())
                stop = member.stop
            has_images = has_images or not sample.parts.keys().isdisjoint(IMAGE_SUFFIXES)
            has_labels = has_labels or "cls" in sample.parts
            if "json" in sample.parts and not has_json:
                has_json = True
                has_labels = _check_json(sample, file, columns) or has_labels
        offsets.append(stop)
        return _Scan(
            path=path,
            num_bytes=stream.seek(0, 2),
            offsets=offsets,
            hashes=hashes,
            has_images=has_images,
            has_labels=has_labels,
            headers_sha256=digest.hexdigest(),
        )


def _check_json(sample: Sample, file: SharedFile, columns: SourceColumns) -> bool:
    """Returns whether a tar's first JSON has a label; refuses one that has neither a label nor a text.

    Only the first one: it reveals a forgotten option, and reading all would cost as much as the job itself.
    """
    try:
        names = set(read_json(sample.parts["json"], file))
    except ImageError:
        return False  # reported when the row is read
    if "txt" not in sample.parts and names.isdisjoint((*text_names(columns), columns.label)):
        raise SourceError(
            f"{file.path}: the JSON of sample {sample.name!r} has none of {list(text_names(columns))}; "
            f"there are {sorted(names)}; name the text column with an option"
        )
    return columns.label in names


def _keys(paths: Iterable[str], opener: Opener) -> Iterator[tuple[str, str]]:
    """Yields (key, its place) of each sample."""
    for path in paths:
        with open_first(path, opener) as stream:
            for sample in read_samples(stream, path):
                yield sample_key(path, sample.name), f"{path}, byte {sample.start}"
