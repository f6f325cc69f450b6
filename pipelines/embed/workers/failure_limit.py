"""The limit on failed rows, a summary of what failed, and an example."""

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.schemas import failures_table
from lit_precompute.schemas.limits import limit
from lit_precompute.schemas.reading.table_reader import read_shard_table
from lit_precompute.schemas.storage import open_folder


@dataclasses.dataclass(frozen=True)
class FailureLimit:
    """At most `rows` failures; None means no limit."""

    rows: int | None

    @classmethod
    def parse(cls, text: str | None, num_rows: int | None) -> "FailureLimit":
        """Returns the limit that "100" or "0.5%" means for `num_rows` rows; none for a share of unknown rows.

        Raises:
          ValueError: neither a count nor a percentage.
        """
        if text is None:
            return cls(None)
        rows = limit("--max-failures", text, num_rows or 0)
        return cls(None if num_rows is None and text.endswith("%") else rows)

    def is_exceeded(self, num_failures: int) -> bool:
        """Returns whether this number of failures exceeds the limit."""
        return self.rows is not None and num_failures > self.rows


def describe_failures(markers: Sequence[ShardMarker]) -> str:
    """Returns the reasons of failures, most frequent first, each with its count and the first key."""
    firsts: dict[str, str] = {}
    for marker in markers:
        for reason, (_, key) in marker.reasons.items():
            firsts.setdefault(reason, key)
    return ", ".join(f"{count:,} {reason} (first: {firsts[reason]})" for reason, count in _counts(markers))


def example_of_failure(output: str, markers: Sequence[ShardMarker]) -> str:
    """Returns the first row that failed for the most frequent reason: its key, source and message."""
    (reason, _), *_ = _counts(markers)
    marker = next(marker for marker in markers if reason in marker.reasons)
    rows = read_shard_table(open_folder(output), failures_table(), marker.info).to_pylist()
    row = next(row for row in rows if row["reason"] == reason)
    source = (
        f" ({row['source']})" if row["source"] not in (row["key"], "") and row["source"] not in row["message"] else ""
    )
    return f"{row['key']}{source}: {row['message']}"


def _counts(markers: Iterable[ShardMarker]) -> list[tuple[str, int]]:
    """Returns the number of rows per reason, most frequent first."""
    counts: collections.Counter[str] = collections.Counter()
    for marker in markers:
        counts.update({reason: count for reason, (count, _) in marker.reasons.items()})
    return counts.most_common()
