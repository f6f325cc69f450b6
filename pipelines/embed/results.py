"""What became of a unit, on its way through the graph to `Publish`."""

import json
from typing import NamedTuple

from lit_precompute.pipelines.embed.attempts import SetAside
from lit_precompute.pipelines.embed.markers import ShardMarker


class Result(NamedTuple):
    """A finished shard, or a unit that is not attempted any more; exactly one of the two."""

    marker: ShardMarker | None
    aside: SetAside | None

    @classmethod
    def finished(cls, marker: ShardMarker) -> "Result":
        """Returns the result of a shard that is complete."""
        return cls(marker, None)

    @classmethod
    def set_aside(cls, aside: SetAside) -> "Result":
        """Returns the result of a unit that failed too often."""
        return cls(None, aside)

    @property
    def num_failures(self) -> int:
        """Rows that failed."""
        return self.marker.info.num_failures if self.marker else 0

    def to_bytes(self) -> bytes:
        """Returns the result as JSON: less than pickled objects, and the same on both sides of a shuffle."""
        if self.marker:
            return self.marker.to_bytes()
        return json.dumps({"set_aside": self.aside}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Result":
        """Returns the result that `to_bytes` was of."""
        content = json.loads(data)
        if "set_aside" in content:
            return cls(None, SetAside(*content["set_aside"]))
        return cls(ShardMarker.from_bytes(data), None)
