"""What a source holds, from its listing and the first rows of its first files: for users who set up a job.

Promises: reads listings, the first rows and the images of the rows that are shown, nothing else. What is wrong with the
source is part of the result, with the option to give; only a source without any file, or of no known format, is an
error.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from lit_precompute.precompute.images.decoding import open_image
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.opening import recognise_source
from lit_precompute.precompute.sources.peeking import Peek, estimate_rows, peek_into
from lit_precompute.precompute.sources.source import Example
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.precompute.sources.suggestions import suggest_columns
from lit_precompute.precompute.sources.values import short
from lit_precompute.schemas.storage import StorageError, find_described, open_file
from lit_precompute.schemas.wording import counted

_SAMPLE_ROWS = 1000
_MAX_FILES = 3
_FILES_SHOWN = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectedImage:
    """An image of a row: its format and size, or why it cannot be used; `data` is encoded."""

    num_bytes: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    reason: str | None = None
    fault: str | None = None
    data: bytes | None = dataclasses.field(default=None, repr=False)

    @property
    def words(self) -> str:
        """Its format and size, as "JPEG 640 x 480, 32 kB", or why it cannot be used."""
        if self.reason is not None:
            return self.reason
        return f"{self.format} {self.width} x {self.height}, {(self.num_bytes or 0) / 1e3:,.1f} kB"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectedRow:
    """A row as the job would read it."""

    key: str
    source: str
    texts: tuple[str, ...]
    label: str
    named: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    image: InspectedImage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found.

    Attributes:
      path: of the source.
      format: its name for --source-format.
      recognised: how the format was recognised, in words.
      num_files: how many files there are.
      num_bytes: of all files; None where the listing does not tell.
      files: the first few.
      num_rows: of all files, from the first rows and the sizes; None without any ground.
      is_exact: whether `num_rows` is known, not a guess.
      num_sampled: rows that were read, without their images.
      fields: names of columns, keys or members, and the values of the first row.
      rows: the first ones.
      oddities: what looks wrong, in sentences, with what to do.
    """

    path: str
    format: str
    recognised: str
    num_files: int
    num_bytes: int | None
    files: tuple[str, ...]
    num_rows: int | None
    is_exact: bool
    num_sampled: int
    fields: Mapping[str, str]
    rows: tuple[InspectedRow, ...]
    oddities: tuple[str, ...]


def inspect_source(
    spec: SourceSpec, *, num_rows: int = 8, opener: Opener = open_file, find: Finder = find_described
) -> Inspection:
    """Returns what a source holds.

    Args:
      spec: the source.
      num_rows: rows to show, with their images.
      opener: opens a path.
      find: lists what a glob pattern matches.

    Raises:
      SourceError: no such files, or an unknown format.
    """
    recognised = recognise_source(spec, find=find)
    source = recognised.format.make(spec, recognised.name, opener, find)
    files = source.files()
    peeks: list[Peek] = []
    for file in files[:_MAX_FILES]:
        peeks.append(peek_into(source, file, _SAMPLE_ROWS, is_alone=len(files) == 1))
        if peeks[-1].fault or sum(len(peek.rows) for peek in peeks) >= _SAMPLE_ROWS:
            break
    sample = [row for peek in peeks for row in peek.rows]
    rows = tuple(_with_image(row) for row in sample[:num_rows])
    fields = next((peek.fields for peek in peeks if peek.fields), {})
    sizes = [file.num_bytes for file in files]
    estimate, is_exact = estimate_rows(files, list(zip(files, peeks, strict=False)))
    return Inspection(
        path=spec.path,
        format=recognised.name,
        recognised=recognised.how,
        num_files=len(files),
        num_bytes=sum(size or 0 for size in sizes) if None not in sizes else None,
        files=tuple(file.path for file in files[:_FILES_SHOWN]),
        num_rows=estimate,
        is_exact=is_exact,
        num_sampled=len(sample),
        fields=fields,
        rows=rows,
        oddities=(
            *(peek.fault for peek in peeks if peek.fault),
            *suggest_columns(spec.columns, fields, sample, " ".join(peek.fault for peek in peeks)),
            *(["no rows"] if is_exact and not estimate else []),
            *_odd_folders(spec.path, recognised.name, sample),
            *_odd_rows(sample, source.on_repeated_keys),
            *_odd_images(rows),
        ),
    )


def _with_image(row: Example) -> InspectedRow:
    return InspectedRow(
        key=row.key,
        source=row.source,
        texts=row.texts,
        label=row.label,
        named=dict(row.named),
        notes=row.notes,
        image=_image(row),
    )


def _image(row: Example) -> InspectedImage:
    data = None
    try:
        data = row.read_image()
        opened = open_image(data)
    except ImageError as error:
        size = None if data is None else len(data)
        return InspectedImage(num_bytes=size, reason=error.reason, fault=str(error))
    except (StorageError, OSError) as error:
        return InspectedImage(reason="not read", fault=str(error))
    return InspectedImage(
        num_bytes=len(data), format=opened.format, width=opened.width, height=opened.height, data=data
    )


def _odd_rows(sample: Sequence[Example], on_repeated_keys: str) -> list[str]:
    found: list[str] = []
    of_all = f"of the {counted(len(sample), 'row')} read"
    empty = sum(not row.texts and not any(row.named.values()) for row in sample)
    if empty and not (empty == len(sample) and all(row.label for row in sample)):  # labels alone are to evaluate with
        found.append(f"rows without a text: {empty:,} {of_all}")
    key, times = next(iter(collections.Counter(row.key for row in sample).most_common(1)), ("", 0))
    if times > 1:
        found.append(f"the key {short(key)} is that of {times:,} rows {of_all}: {on_repeated_keys}")
    notes = collections.Counter(note for row in sample for note in row.notes)
    return found + [f"{note}: {times:,} {of_all}" for note, times in notes.items()]


def _odd_folders(path: str, format: str, sample: Sequence[Example]) -> list[str]:
    """Returns what to do if folders of images without texts are likely to be classes."""
    folders = [row.key.split("/")[:-1] for row in sample]
    if format != "folder" or not folders or not all(folders) or any(row.texts or row.label for row in sample):
        return []
    if all(len(names) > 1 for names in folders):
        first = f"{path.rstrip('/')}/{folders[0][0]}"
        return [
            f"images in folders, without texts: if these are classes, give {first} with --source-format class-folders"
        ]
    return ["images in folders, without texts: if these are classes, give --source-format class-folders"]


def _odd_images(rows: Sequence[InspectedRow]) -> list[str]:
    failed = [row for row in rows if row.image.reason is not None]
    if not failed:
        return []
    reasons = collections.Counter(row.image.reason or "" for row in failed)
    words = ", ".join(f"{reason}: {times}" for reason, times in reasons.most_common())
    first = failed[0]
    of_all = f"{len(failed)} of {counted(len(rows), 'image')}"
    return [f"{of_all} cannot be used ({words}); {short(first.key)}: {first.image.fault}"]
