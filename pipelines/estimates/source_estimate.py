"""What a source holds, estimated: from its listing, a few of its files, and some images.

Promises: one listing, the first rows of the first file, and the headers of some rows of a few files that are spread
over the listing are read, however large the source is. What was known and what was estimated is said.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.opening import recognise_source
from lit_precompute.precompute.sources.peeking import Peek, estimate_rows, peek_into
from lit_precompute.precompute.sources.source import Example, ListedFile, Source, SourceError, source_tables
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import TableSchema
from lit_precompute.schemas.storage import find_described, open_file
from lit_precompute.schemas.wording import counted

_MAX_FILES, _MAX_IMAGES = 3, 32
# Of rows in tars, images and all are read; their headers cost a request each in a store; lines of a table cost nothing.
_FIRST_ROWS, _COUNTED, _COUNTED_LINES = 64, 100, 1000
# Images that together are so many times the files are not in them.
_BESIDE = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceEstimate:
    """A source.

    Attributes:
      format: its name.
      source: how it is read.
      files: all of them.
      rows: the first rows of its first file.
      tables: what its rows have values for, as far as these show.
      num_rows: of the source, or of `limit`.
      is_exact: whether `num_rows` is known.
      basis: how `num_rows` was found, in words.
      num_units: shards that it will become.
      read_bytes: that a pass over it reads; None without any ground.
      image_bytes: mean size of an encoded image; None if none was read.
      notes: what does not look right.
    """

    format: str
    source: Source
    files: Sequence[ListedFile]
    rows: Sequence[Example]
    tables: Sequence[TableSchema]
    num_rows: int
    is_exact: bool
    basis: str
    num_units: int
    read_bytes: float | None
    image_bytes: float | None
    notes: tuple[str, ...]


def estimate_source(
    spec: SourceSpec,
    *,
    rows_per_unit: int,
    limit: int | None = None,
    given_rows: int | None = None,
    first_rows: int = _FIRST_ROWS,
    opener: Opener = open_file,
    find: Finder = find_described,
) -> SourceEstimate:
    """Returns what a source holds.

    Args:
      spec: the source.
      rows_per_unit: rows of each shard, at most.
      limit: rows to embed of it, at most.
      given_rows: its rows, if the user knows them.
      first_rows: how many rows are wanted of the first file.
      opener: opens a path.
      find: lists what a glob pattern matches.

    Raises:
      SourceError: there is no such source, its first file has no readable row, or its rows cannot be estimated.
    """
    recognised = recognise_source(spec, find=find)
    source = recognised.format.make(spec, recognised.name, opener, find)
    files = source.files()
    peeked = _peek(source, files, max(first_rows, _FIRST_ROWS))
    rows = peeked[0][1].rows
    if not rows:
        raise SourceError(peeked[0][1].fault or f"{peeked[0][0].path}: no rows")
    found, is_exact = estimate_rows(files, peeked)
    basis = _basis(files, peeked, is_exact=is_exact)
    if given_rows is not None:
        found, is_exact, basis = given_rows, False, "as given by --rows"
    if found is None:
        raise SourceError(
            f"{spec.path}: the number of rows cannot be estimated, because only reading its files tells; give --rows N"
        )
    num_rows = found if limit is None else min(found, limit)
    image_bytes = _mean_image(rows[:_MAX_IMAGES])
    is_read_whole = any(peek.is_read_whole for _, peek in peeked)
    units = len(files) if is_read_whole else count_units(_rows_of_each(files, found), rows_per_unit)
    if num_rows < found:
        units = min(units, -(-num_rows // rows_per_unit))
    return SourceEstimate(
        format=recognised.name,
        source=source,
        files=files,
        rows=rows,
        tables=_tables(rows),
        num_rows=num_rows,
        is_exact=is_exact,
        basis=basis,
        num_units=max(units, 1),
        read_bytes=_read_bytes(files, num_rows, found, image_bytes),
        image_bytes=image_bytes,
        notes=tuple(peek.fault for _, peek in peeked if peek.fault),
    )


def _peek(source: Source, files: Sequence[ListedFile], first_rows: int) -> list[tuple[ListedFile, Peek]]:
    """Peeks into the first file, and into others that are spread over the listing."""
    others = [(len(files) - 1) * number // (_MAX_FILES - 1) for number in range(1, _MAX_FILES)]
    counted = _COUNTED_LINES if source.kind == "table" else _COUNTED
    is_alone = len(files) == 1
    first = [(files[0], peek_into(source, files[0], first_rows, counted, is_alone=is_alone))]
    rest = [files[number] for number in dict.fromkeys(others) if number > 0]
    return first + [(file, peek_into(source, file, 0, counted, is_alone=is_alone)) for file in rest]


def _basis(files: Sequence[ListedFile], peeked: Sequence[tuple[ListedFile, Peek]], *, is_exact: bool) -> str:
    if is_exact:
        return "counted"
    if len(files) == 1:
        return "estimated from its first rows and its size"
    by = "sizes" if all(file.num_bytes is not None for file in files) else "number"
    return f"estimated from the first rows of {counted(len(peeked), 'file')} and the {by} of all {len(files):,}"


def _rows_of_each(files: Sequence[ListedFile], num_rows: int) -> Iterable[int]:
    """Yields the rows of each file, in proportion to its size; equally many where sizes are not known."""
    sizes = [file.num_bytes or 0 for file in files]
    if any(file.num_bytes is None for file in files) or not sum(sizes):
        sizes = [1] * len(files)
    total, before, passed = sum(sizes), 0, 0
    for size in sizes:
        passed += size
        upto = num_rows * passed // total
        yield upto - before
        before = upto


def count_units(rows_of_files: Iterable[int], rows_per_unit: int) -> int:
    """Returns how many units files of so many rows become; see `planning.join_slices`."""
    num_units = waiting = 0
    for rows in rows_of_files:
        full, rest = divmod(rows, rows_per_unit)
        if waiting and (full or waiting + rest > rows_per_unit):
            num_units, waiting = num_units + 1, 0
        num_units += full
        waiting += rest
    return num_units + bool(waiting)


def _mean_image(rows: Sequence[Example]) -> float | None:
    sizes: list[int] = []
    for row in rows:
        try:
            sizes.append(len(row.read_image()))
        except ImageError:
            continue  # a failed row, which costs next to nothing
    return sum(sizes) / len(sizes) if sizes else None


def _read_bytes(files: Sequence[ListedFile], num_rows: int, all_rows: int, image_bytes: float | None) -> float | None:
    """Returns what a pass over some of the rows reads: the files, and the images if these are not in them."""
    in_files = sum(file.num_bytes or 0 for file in files)
    images = None if image_bytes is None else num_rows * image_bytes
    of_files = in_files * num_rows / all_rows if all_rows else 0.0
    if images is not None and images > _BESIDE * of_files:
        return of_files + images
    return of_files or None


def _tables(rows: Sequence[Example]) -> list[TableSchema]:
    """Returns the tables of texts and labels that these rows have values for."""
    has_labels = any(row.label for row in rows)
    return list(source_tables(has_labels=has_labels, named=tuple(rows[0].named)))
