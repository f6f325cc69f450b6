"""The limit on failed rows, the tally of failures in a process, and a summary of what failed."""

import collections
import dataclasses
import threading
from collections.abc import Iterable

from lit_precompute.pipelines.embed.job import ShardMarker


@dataclasses.dataclass(frozen=True)
class FailureLimit:
    """At most `rows` failures; None means no limit."""

    rows: int | None

    @classmethod
    def parse(cls, text: str | None, num_rows: int) -> "FailureLimit":
        """Returns the limit that "100" or "0.5%" means for a source of `num_rows` rows.

        Raises:
          ValueError: neither a count nor a percentage.
        """
        if text is None:
            return cls(None)
        is_share = text.endswith("%")
        try:
            value = float(text[:-1]) if is_share else int(text)
        except ValueError:
            value = -1
        if not 0 <= value <= (100 if is_share else float("inf")):
            raise ValueError(f"--max-failures must be a count like 100 or a share like 0.5%, got {text!r}")
        return cls(int(value * num_rows / 100) if is_share else int(value))

    def is_exceeded(self, num_failures: int) -> bool:
        """Returns whether this number of failures exceeds the limit."""
        return self.rows is not None and num_failures > self.rows


class FailureTally:
    """Failed rows as far as this process knows: those before the launch, and those in shards it has finished since.

    Other processes of the launch keep their own tallies; the limit is checked over all shards before publishing.
    """

    def __init__(self, num_failures: int):
        """Takes the number of failures before the launch."""
        self._lock = threading.Lock()
        self._by_shard: dict[int, int] = {}
        self.num_failures = num_failures

    def add(self, shard: int, num_failures: int) -> None:
        """Counts a finished shard; counting it again changes nothing. Thread-safe."""
        with self._lock:
            self.num_failures += num_failures - self._by_shard.get(shard, 0)
            self._by_shard[shard] = num_failures


def describe_failures(markers: Iterable[ShardMarker]) -> str:
    """Returns the reasons of failures, most frequent first, each with its count and the first key."""
    counts: collections.Counter[str] = collections.Counter()
    first_keys: dict[str, str] = {}
    for marker in markers:
        for reason, (count, key) in marker.reasons.items():
            counts[reason] += count
            first_keys.setdefault(reason, key)
    return ", ".join(f"{count:,} {reason} (first: {first_keys[reason]})" for reason, count in counts.most_common())
