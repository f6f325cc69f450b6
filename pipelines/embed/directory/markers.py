"""Markers of finished shards: written after a shard's files, and all that the job has to know of it.

Promises: a marker that exists belongs to a shard whose files are complete; markers never change, but for the report of
a second attempt at the same unit.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator

from lit_precompute.pipelines.embed.reporting.unit_report import UnitReport
from lit_precompute.precompute.images.errors import MAY_PASS
from lit_precompute.schemas import Probe, ShardInfo
from lit_precompute.schemas.storage import WORK_FOLDER, Folder

_SHARDS = f"{WORK_FOLDER}/shards"
# Requests of a store that wait for each other would take hours for a hundred thousand markers.
_CONNECTIONS, _READ_AT_ONCE = 32, 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardMarker:
    """A finished shard with its probes and failures: for each reason the number of rows and the first key.

    `has_hashes` says whether the hashes of its keys were stored, because only reading told the keys. `report` says how
    the work went: it is where a kill cannot lose it, and no part of the dataset.
    """

    info: ShardInfo
    probes: list[Probe]
    reasons: dict[str, tuple[int, str]]
    has_hashes: bool = False
    report: UnitReport | None = None

    @property
    def num_passing(self) -> int:
        """Rows that failed for reasons that may pass."""
        return sum(count for reason, (count, _) in self.reasons.items() if reason in MAY_PASS)

    def to_bytes(self) -> bytes:
        """Returns the marker as JSON."""
        content = {
            "info": self.info.model_dump(),
            "probes": [probe.model_dump() for probe in self.probes],
            "reasons": self.reasons,
            **({"has_hashes": True} if self.has_hashes else {}),
            **({"report": self.report.model_dump()} if self.report else {}),
        }
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "ShardMarker":
        """Returns the marker that `to_bytes` was of."""
        content = json.loads(data)
        return cls(
            info=ShardInfo.model_validate(content["info"]),
            probes=[Probe.model_validate(probe) for probe in content["probes"]],
            reasons={reason: (count, key) for reason, (count, key) in content["reasons"].items()},
            has_hashes=content.get("has_hashes", False),
            report=UnitReport.model_validate(content["report"]) if "report" in content else None,
        )


class Markers:
    """The markers in a job's output."""

    def __init__(self, folder: Folder):
        """Takes the output."""
        self._folder = folder

    def numbers(self) -> set[int]:
        """Returns the numbers of the finished shards, from one listing."""
        names = self._folder.find(_SHARDS)
        return {int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdecimal()}

    def write(self, marker: ShardMarker) -> None:
        """Marks a shard as finished."""
        self._folder.write(_name(marker.info.shard), marker.to_bytes())

    def write_many(self, markers: Iterable[ShardMarker]) -> None:
        """Marks shards as finished."""
        with concurrent.futures.ThreadPoolExecutor(_CONNECTIONS) as writers:
            for _ in writers.map(self.write, markers):
                pass

    def read(self, shard: int) -> ShardMarker | None:
        """Returns a shard's marker; None if it is not finished."""
        try:
            return ShardMarker.from_bytes(self._folder.read(_name(shard)))
        except FileNotFoundError:
            return None

    def read_many(self, shards: Collection[int]) -> Iterator[ShardMarker]:
        """Yields the markers of those shards that are finished, in the order given."""
        names = list(map(_name, shards))
        for start in range(0, len(names), _READ_AT_ONCE):
            for data in self._folder.read_many(names[start : start + _READ_AT_ONCE]):
                if data is not None:
                    yield ShardMarker.from_bytes(data)

    def remove(self, shards: Collection[int]) -> None:
        """Removes markers, so that their shards are embedded again."""
        with contextlib.suppress(FileNotFoundError):
            self._folder.remove(*map(_name, shards))


def _name(shard: int) -> str:
    return f"{_SHARDS}/{shard:05d}.json"
