"""What became of a unit, on its way through the graph to `Publish`."""

import json
from typing import NamedTuple

from lit_precompute.pipelines.embed.directory.attempts import SetAside
from lit_precompute.pipelines.embed.directory.markers import ShardMarker


class Result(NamedTuple):
    """A finished shard, or a unit that is not attempted any more; exactly one of the two.

    `dataset` is the number of the dataset in the launch.
    """

    dataset: int
    marker: ShardMarker | None
    aside: SetAside | None

    @classmethod
    def finished(cls, marker: ShardMarker, dataset: int = 0) -> "Result":
        """Returns the result of a shard that is complete."""
        return cls(dataset, marker, None)

    @classmethod
    def set_aside(cls, aside: SetAside, dataset: int = 0) -> "Result":
        """Returns the result of a unit that failed too often."""
        return cls(dataset, None, aside)

    @property
    def num_failures(self) -> int:
        """Rows that failed."""
        return self.marker.info.num_failures if self.marker else 0

    def to_bytes(self) -> bytes:
        """Returns the result as JSON after a number: less than pickled objects, and equal beyond a shuffle."""
        content = self.marker.to_bytes() if self.marker else json.dumps({"set_aside": self.aside}).encode()
        return b"%d %s" % (self.dataset, content)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Result":
        """Returns the result that `to_bytes` was of."""
        number, _, content = data.partition(b" ")
        parsed = json.loads(content)
        if "set_aside" in parsed:
            return cls(int(number), None, SetAside(*parsed["set_aside"]))
        return cls(int(number), ShardMarker.from_bytes(content), None)
