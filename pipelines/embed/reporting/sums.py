"""Summing what the units of a job report, over all its launches, however they ended.

Promises: it needs nothing but what is in the output. The time of attempts that failed is in no sum.
"""

import collections
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.reporting.intervals import Span, covered_s, idle_at_the_end_s
from lit_precompute.pipelines.embed.reporting.job_report import JobReport, LaunchReport, MachineReport
from lit_precompute.pipelines.embed.reporting.unit_report import UnitReport, UnitSeconds
from lit_precompute.pipelines.embed.reporting.verdict import judge


def make_report(markers: Iterable[ShardMarker], launches: Mapping[str, Mapping[str, Any]]) -> JobReport:
    """Returns the report of a job, or of as much of it as is done.

    Args:
      markers: of the finished units.
      launches: what launchers have recorded, by the launch's name.
    """
    found = list(markers)
    reports = [(marker.report, marker.info.rows_read) for marker in found if marker.report]
    by_launch: dict[str, list[tuple[UnitReport, int]]] = {name: [] for name in launches}
    for report, num_rows in reports:
        by_launch.setdefault(report.launch, []).append((report, num_rows))
    spans = [span for name, units in by_launch.items() if (span := _span(launches.get(name, {}), units))]
    seconds, worker_s, idle_s = _worker_seconds(list(by_launch.values()))
    wall_s = covered_s(spans)
    return JobReport(
        rows_read=sum(marker.info.rows_read for marker in found),
        rows_embedded=sum(marker.info.num_rows for marker in found),
        rows_failed=sum(marker.info.num_failures for marker in found),
        failures=count_reasons(found),
        num_units=len(found),
        num_timed=len(reports),
        num_attempts=sum(report.attempt for report, _ in reports),
        num_retried=sum(report.num_retried for report, _ in reports),
        bytes_read=sum(report.bytes_read for report, _ in reports),
        bytes_written=sum(report.bytes_written for report, _ in reports),
        began=in_utc(min(span.began for span in spans)) if spans else None,
        ended=in_utc(max(span.ended for span in spans)) if spans else None,
        wall_s=wall_s,
        rows_per_second=sum(num_rows for _, num_rows in reports) / wall_s if wall_s else None,
        seconds=UnitSeconds.sum(report.seconds for report, _ in reports),
        worker_s=worker_s,
        idle_s=idle_s,
        launches=_launches(launches, by_launch),
        machines=_machines(reports),
        verdict=judge(seconds, idle_s, [report.machine for report, _ in reports]),
    )


def count_reasons(markers: Iterable[ShardMarker]) -> dict[str, int]:
    """Returns how many rows failed for each reason, most frequent first."""
    reasons: collections.Counter[str] = collections.Counter()
    for marker in markers:
        reasons.update({reason: count for reason, (count, _) in marker.reasons.items()})
    return dict(reasons.most_common())


def in_utc(seconds: float) -> str:
    """Returns a time, in seconds since 1970, as text."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _span(launch: Mapping[str, Any], units: Sequence[tuple[UnitReport, int]]) -> Span | None:
    """Returns from when to when a launch was under way; None if it has finished nothing."""
    if not units:
        return None
    first = min(report.began for report, _ in units)
    return Span(min(launch.get("began", first), first), max(report.ended for report, _ in units))


def _worker_seconds(of_launches: Sequence[Sequence[tuple[UnitReport, int]]]) -> tuple[UnitSeconds, float, float]:
    """Returns the workers' seconds by part, all of them, and their idle ones at the end of each launch.

    Several units at a time in one process are one process at work: the seconds of their threads are scaled.
    """
    of_workers: list[UnitSeconds] = []
    worker_s = idle_s = 0.0
    for units in of_launches:
        spans: dict[str, list[Span]] = {}
        threads: dict[str, list[UnitSeconds]] = {}
        for report, _ in units:
            spans.setdefault(report.worker, []).append(Span(report.began, report.ended))
            threads.setdefault(report.worker, []).append(report.seconds)
        for worker, parts in threads.items():
            at_work_s, of_threads = covered_s(spans[worker]), UnitSeconds.sum(parts)
            scaled = of_threads.times(at_work_s / of_threads.total if of_threads.total else 0.0)
            of_workers.append(scaled.model_copy(update={"device": of_threads.device}))
            worker_s += at_work_s
        idle_s += idle_at_the_end_s(spans)
    return UnitSeconds.sum(of_workers), worker_s, idle_s


def _launches(
    launches: Mapping[str, Mapping[str, Any]], by_launch: Mapping[str, Sequence[tuple[UnitReport, int]]]
) -> list[LaunchReport]:
    found: list[tuple[float, LaunchReport]] = []
    for name, units in by_launch.items():
        record, ended = launches.get(name, {}), max((report.ended for report, _ in units), default=None)
        began = record.get("began", min((report.began for report, _ in units), default=0.0))
        report = LaunchReport(
            **{key: record.get(key) for key in ("runner", "job_id", "link")},
            began=in_utc(began),
            ended=None if ended is None else in_utc(ended),
            num_units=len(units),
            num_rows=sum(num_rows for _, num_rows in units),
            num_workers=len({report.worker for report, _ in units}),
        )
        found.append((began, report))
    return [report for _, report in sorted(found, key=lambda one: one[0])]


def _machines(reports: Sequence[tuple[UnitReport, int]]) -> list[MachineReport]:
    kinds: dict[str, list[tuple[UnitReport, int]]] = {}
    for report, num_rows in reports:
        kinds.setdefault(report.machine.model_dump_json(), []).append((report, num_rows))
    return [
        MachineReport(
            **units[0][0].machine.model_dump(),
            num_workers=len({report.worker for report, _ in units}),
            num_units=len(units),
            num_rows=sum(num_rows for _, num_rows in units),
        )
        for _, units in sorted(kinds.items())
    ]
