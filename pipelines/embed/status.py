"""What an embedding job's output alone tells of it, from any machine, while it runs and after it has ended."""

import collections
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from lit_precompute.pipelines.embed.attempts import Attempts
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.markers import ShardMarker
from lit_precompute.pipelines.embed.several_towers import outputs_in
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.storage import absolute

_MAX_NAMED = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobStatus:
    """How far a job is.

    Attributes:
      state: "finished", "unfinished", "planning" (no plan is stored yet) or "none" (no job).
      output: path or URL.
      num_units: units of the plan.
      num_done: finished units.
      missing: the first of the others.
      attempted: of those, the ones that an attempt has begun, each with how many attempts and what the last one said.
      num_rows: rows of the finished units.
      num_failures: those that failed.
      failures: rows by reason, most frequent first.
      launches: what the launchers have recorded: runner, job id, link.
      is_stop_requested: whether workers were asked to stop.
    """

    state: str
    output: str
    num_units: int = 0
    num_done: int = 0
    missing: tuple[int, ...] = ()
    attempted: dict[int, tuple[int, str]] = dataclasses.field(default_factory=dict)
    num_rows: int = 0
    num_failures: int = 0
    failures: dict[str, int] = dataclasses.field(default_factory=dict)
    launches: tuple[dict[str, Any], ...] = ()
    is_stop_requested: bool = False


def read_status(output: str, progress: Callable[[int, int], None] = lambda done, total: None) -> JobStatus:
    """Returns the status of the job at an output.

    Args:
      output: path or URL.
      progress: called with (markers read, all of them) now and then.

    Raises:
      DatasetError, ClaimError: what is there is damaged.
    """
    directory = JobDirectory(absolute(output))
    path = directory.folder.path
    if directory.is_published():
        return _of_manifest(path, Manifest.read(path))
    launches = tuple(directory.launches())
    plan = directory.plan()
    if plan is None:
        return JobStatus(state="planning" if launches else "none", output=path, launches=launches)
    done = directory.markers.numbers()
    markers: list[ShardMarker] = []
    for marker in directory.markers.read_many(sorted(done)):
        markers.append(marker)
        progress(len(markers), len(done))
    reasons: collections.Counter[str] = collections.Counter()
    for marker in markers:
        reasons.update({reason: count for reason, (count, _) in marker.reasons.items()})
    missing = [unit for unit in range(len(plan.units)) if unit not in done]
    return JobStatus(
        state="unfinished",
        output=path,
        num_units=len(plan.units),
        num_done=len(markers),
        missing=tuple(missing[:_MAX_NAMED]),
        attempted={unit: found for unit, found in Attempts(directory.folder, "").find().items() if unit not in done},
        num_rows=sum(marker.info.rows_read for marker in markers),
        num_failures=sum(marker.info.num_failures for marker in markers),
        failures=dict(reasons.most_common()),
        launches=launches,
        is_stop_requested=directory.is_stop_requested(),
    )


def read_statuses(output: str) -> list[JobStatus]:
    """Returns the status of the job at an output; of a job of several towers, that of each dataset.

    Raises:
      DatasetError, ClaimError: what is there is damaged.
    """
    status = read_status(output)
    each = map(read_status, outputs_in(status.output)) if status.state == "none" else ()
    return list(each) or [status]


def _of_manifest(path: str, manifest: Manifest) -> JobStatus:
    return JobStatus(
        state="finished",
        output=path,
        num_units=len(manifest.shards),
        num_done=len(manifest.shards),
        num_rows=manifest.ledger.rows_read,
        num_failures=manifest.num_failures,
    )


def to_json(statuses: Sequence[JobStatus]) -> str:
    """Returns a status as JSON, for programs; several as a list."""
    plain = [dataclasses.asdict(status) for status in statuses]
    return json.dumps(plain if len(plain) > 1 else plain[0], indent=1)
