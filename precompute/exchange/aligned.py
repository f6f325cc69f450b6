"""Files of vectors and a table of words that are aligned by position: found, counted, compared, and read together.

Promises: files of unequal length are an error that names each with its count, before a row is read. Where a layout
aligns by position alone, a count that differs is all that shows a row too many, so none is ever cut or filled up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lit_precompute.precompute.exchange.files.npy import Vectors, VectorStream, look_at
from lit_precompute.precompute.exchange.files.tables import TableFile
from lit_precompute.precompute.exchange.files.words import WordColumns, unit_key
from lit_precompute.precompute.exchange.rows import BLOCK_ROWS, Rows, Unit
from lit_precompute.precompute.sources.files import open_first
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import open_file

_MAX_NAMED = 5


def look_at_vectors(path: str) -> Vectors:
    """Returns what the header of a NumPy file says, compared with its size."""
    with open_first(path, open_file) as stream:
        return look_at(stream, path)


def count_rows(path: str) -> int:
    """Returns the rows of a Parquet or Arrow file, as its headers say."""
    with TableFile(path) as file:
        return file.num_rows


def check_counts(groups: Iterable[Mapping[str, int]]) -> None:
    """Checks that the files of each group have equally many rows; a group is counts by file.

    Raises:
      SourceError: some differ; names the files and their counts.
    """
    wrong = [group for group in groups if len(set(group.values())) > 1]
    if wrong:
        words = ["; ".join(f"{path} has {count:,} rows" for path, count in group.items()) for group in wrong]
        more = f"\nand {len(words) - _MAX_NAMED:,} more" if len(words) > _MAX_NAMED else ""
        raise SourceError(
            "rows are aligned by position, so files must have equally many:\n"
            + "\n".join(words[:_MAX_NAMED])
            + f"{more}\nfetch the wrong files again; nothing was written"
        )


def one_width(widths: Mapping[str, Vectors]) -> Vectors:
    """Returns what all files of a table have in common, for a table of at least one file.

    Raises:
      SourceError: their vectors differ in width; names two of them.
    """
    (first_path, first), *others = widths.items()
    for path, other in others:
        if other.width != first.width:
            raise SourceError(
                f"{path}: vectors have {other.width} numbers, those of {first_path} {first.width}; all files of a "
                "table must be of one tower"
            )
    return max(widths.values(), key=lambda each: each.type.itemsize)


def read_aligned(
    unit: Unit, vectors: Mapping[str, VectorStream], table: TableFile | None, words: WordColumns | None
) -> Iterator[Rows]:
    """Yields the rows of a unit: its vectors by table, and its words, if there is a table of them.

    Raises:
      SourceError: a file is damaged or ends before the unit does.
    """
    assert unit.stop is not None, "files of vectors have headers with counts"
    done, num_rows = 0, unit.stop - unit.start
    if table is not None and words is not None and words.columns:
        for batch in table.batches(words.columns, unit.start, unit.stop):
            found = words.read(batch, unit, done)
            yield Rows(
                keys=found.keys,
                vectors={name: stream.take(batch.num_rows) for name, stream in vectors.items()},
                columns=found.columns,
                faults=found.faults,
                notes=found.notes,
            )
            done += batch.num_rows
    else:
        for first in range(0, num_rows, BLOCK_ROWS):
            count = min(BLOCK_ROWS, num_rows - first)
            keys = [unit_key(unit, row) for row in range(first, first + count)]
            yield Rows(keys=keys, vectors={name: stream.take(count) for name, stream in vectors.items()})
            done += count
    if done != num_rows:
        raise SourceError(f"{unit.name}: had {num_rows:,} rows when it was planned, and {done:,} when it was read")
