"""What an embedding job's output alone tells of it, from any machine, while it runs and after it has ended."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.embed.directory.attempts import Attempts, FoundAttempt
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.reporting.job_report import JobReport, read_report
from lit_precompute.pipelines.embed.reporting.rates import ALIVE_S, measure
from lit_precompute.pipelines.embed.reporting.sums import count_reasons, in_utc, make_report
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
      launches: what the launchers have recorded: runner, job id, link, and when they began.
      is_stop_requested: whether workers were asked to stop.
      last_sign_s: seconds since anything was heard of an unfinished job; workers leave a sign each minute.
      is_running: whether that was so short a time ago that something is at work; a job that was killed a moment ago
        seems to run, and one that starts slowly does not.
      num_workers: processes that were heard of in that time.
      rows_per_second: of the latest launch, or of a finished job as a whole; None where not known.
      recent_rows_per_second: in the last five minutes of an unfinished job.
      seconds_left: of a job that is running, at its recent rate.
      bottleneck: which part of the work was the bottleneck so far, and what to change; "" if none stands out.
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
    last_sign_s: float | None = None
    is_running: bool = False
    num_workers: int = 0
    rows_per_second: float | None = None
    recent_rows_per_second: float | None = None
    seconds_left: float | None = None
    bottleneck: str = ""


def read_status(
    output: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.time,
) -> JobStatus:
    """Returns the status of the job at an output.

    Args:
      output: path or URL.
      progress: called with (markers read, all of them) now and then.
      clock: returns the seconds since 1970.

    Raises:
      DatasetError, ClaimError: what is there is damaged.
    """
    directory = JobDirectory(absolute(output))
    path = directory.folder.path
    if directory.is_published():
        return _of_finished(path, Manifest.read(path), read_report(directory.folder))
    launches, plan = directory.launches(), directory.plan()
    if plan is None:
        state = "planning" if launches else "none"
        return JobStatus(state=state, output=path, launches=_shown(launches), **_pace([], {}, launches, clock()))
    done = directory.markers.numbers()
    markers: list[ShardMarker] = []
    for marker in directory.markers.read_many(sorted(done)):
        markers.append(marker)
        progress(len(markers), len(done))
    missing = [unit for unit in range(len(plan.units)) if unit not in done]
    attempts = Attempts(directory.folder, "").find(without=done)
    verdict = make_report(markers, launches).verdict
    return JobStatus(
        state="unfinished",
        output=path,
        num_units=len(plan.units),
        num_done=len(markers),
        missing=tuple(missing[:_MAX_NAMED]),
        attempted={unit: (found.number, found.error) for unit, found in attempts.items()},
        num_rows=sum(marker.info.rows_read for marker in markers),
        num_failures=sum(marker.info.num_failures for marker in markers),
        failures=count_reasons(markers),
        launches=_shown(launches),
        is_stop_requested=directory.is_stop_requested(),
        bottleneck=verdict.sentence if verdict.is_significant else "",
        **_pace(markers, attempts, launches, clock(), plan),
    )


def read_statuses(output: str) -> list[JobStatus]:
    """Returns the status of the job at an output; of a job of several towers, that of each dataset.

    Raises:
      DatasetError, ClaimError: what is there is damaged.
    """
    status = read_status(output)
    each = map(read_status, outputs_in(status.output)) if status.state == "none" else ()
    return list(each) or [status]


def _pace(
    markers: Sequence[ShardMarker],
    attempts: Mapping[int, FoundAttempt],
    launches: Mapping[str, Mapping[str, Any]],
    now: float,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Returns the fields that say whether an unfinished job is at work, and how fast."""
    rates = measure(markers, attempts, launches, now)
    last_sign_s = None if rates.last_sign is None else max(now - rates.last_sign, 0.0)
    is_running, left_s = last_sign_s is not None and last_sign_s <= ALIVE_S, None
    if is_running and plan and plan.num_rows is not None and rates.recent_rows_per_second:
        num_done = sum(marker.info.rows_read for marker in markers) + rates.rows_in_progress
        left_s = max(plan.num_rows - num_done, 0) / rates.recent_rows_per_second
    return {
        "last_sign_s": last_sign_s,
        "is_running": is_running,
        "num_workers": rates.num_workers,
        "rows_per_second": rates.rows_per_second,
        "recent_rows_per_second": rates.recent_rows_per_second,
        "seconds_left": left_s,
    }


def _of_finished(path: str, manifest: Manifest, report: JobReport | None) -> JobStatus:
    status = JobStatus(
        state="finished",
        output=path,
        num_units=len(manifest.shards),
        num_done=len(manifest.shards),
        num_rows=manifest.ledger.rows_read,
        num_failures=manifest.num_failures,
    )
    if report is None:  # not written by a job, or by an earlier version
        return status
    return dataclasses.replace(
        status,
        failures=report.failures,
        launches=tuple(launch.model_dump() for launch in report.launches),
        rows_per_second=report.rows_per_second,
        bottleneck=report.verdict.sentence if report.verdict.is_significant else "",
    )


def _shown(launches: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Returns what launchers have recorded, with times that people can read."""
    return tuple(
        {**record, "began": in_utc(record["began"])} if "began" in record else dict(record)
        for record in launches.values()
    )


def to_json(statuses: Sequence[JobStatus]) -> str:
    """Returns a status as JSON, for programs; several as a list."""
    plain = [dataclasses.asdict(status) for status in statuses]
    return json.dumps(plain if len(plain) > 1 else plain[0], indent=1)
