"""The report of a whole job, `job-report.json`: how it went, and what was its bottleneck.

Promises: it covers every launch of the job, however they ended; it needs nothing but what is in the output. Not covered
by the manifest, whose digest it cannot change: two runs of one job have equal manifests and different reports. The time
of attempts that failed is in no sum.
"""

import collections
import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.reporting.intervals import Span, covered_s, idle_at_the_end_s
from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitReport, UnitSeconds
from lit_precompute.pipelines.embed.reporting.verdict import Verdict, judge
from lit_precompute.schemas.json_files import faults_of, parse_json_object
from lit_precompute.schemas.storage import JOB_REPORT_NAME, DatasetError, Folder
from lit_precompute.schemas.tables import StrictModel

_VERSION = 1


class LaunchReport(StrictModel):
    """What one launch has done.

    Attributes:
      runner: name of the engine's runner.
      job_id, link: the engine's name for the job, and its page; None where it has none.
      began: when it was launched, by the launcher's clock; times are in UTC, as in 2026-11-28T17:31:21Z.
      ended: when it finished its last unit; None if it finished none.
      num_units: units that it finished.
      num_rows: rows of these, failed ones included.
      num_workers: processes that finished any.
    """

    runner: str | None = None
    job_id: str | None = None
    link: str | None = None
    began: str
    ended: str | None
    num_units: int
    num_rows: int
    num_workers: int


class MachineReport(Machine):
    """A kind of machine, and what those of its kind have done.

    Attributes:
      num_workers: processes on such machines.
      num_units: units that they finished.
      num_rows: rows of these, failed ones included.
    """

    num_workers: int
    num_units: int
    num_rows: int


class JobReport(StrictModel):
    """How a job went, over all its launches.

    Attributes:
      report_version: 1.
      rows_read, rows_embedded, rows_failed: as in the manifest.
      failures: rows by reason, most frequent first.
      num_units: units of the job.
      num_timed: units of which it is known how the work went; of a finished dataset of which failed rows were retried,
        only those that were embedded again.
      num_attempts: attempts at them that were begun, as far as their records were kept.
      num_retried: reads that a server or a network broke and that were tried again.
      bytes_read: encoded images.
      bytes_written: files of the shards.
      began, ended: when the first launch began, and when the last unit was finished.
      wall_s: seconds in which a launch was under way, from its beginning to its last unit.
      rows_per_second: rows of the timed units, in these seconds.
      seconds: where the time of the workers' threads went.
      worker_s: seconds in which workers were at work on units, summed over workers.
      idle_s: seconds in which workers had no unit while others finished theirs.
      launches: in order of time.
      machines: kinds of machines.
      verdict: which part was the bottleneck.
    """

    report_version: int = _VERSION
    rows_read: int
    rows_embedded: int
    rows_failed: int
    failures: dict[str, int]
    num_units: int
    num_timed: int
    num_attempts: int
    num_retried: int
    bytes_read: int
    bytes_written: int
    began: str | None
    ended: str | None
    wall_s: float
    rows_per_second: float | None
    seconds: UnitSeconds
    worker_s: float
    idle_s: float
    launches: list[LaunchReport]
    machines: list[MachineReport]
    verdict: Verdict


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


def read_report(folder: Folder) -> JobReport | None:
    """Returns the report of a finished job; None if there is none, or one of a later version.

    Raises:
      DatasetError: it is damaged.
    """
    where, advice = folder.join(JOB_REPORT_NAME), "the dataset does not need it: remove it"
    try:
        content = parse_json_object(folder.read(JOB_REPORT_NAME), where, advice)
    except FileNotFoundError:
        return None
    if content.get("report_version") != _VERSION:
        return None
    if faults := faults_of(JobReport, content, ""):
        raise DatasetError(f"{where}: {faults}; {advice}")
    return JobReport.model_validate(content)


def write_report(folder: Folder, report: JobReport) -> None:
    """Writes the report of a job."""
    folder.write(JOB_REPORT_NAME, (json.dumps(_rounded(report.model_dump()), indent=1) + "\n").encode())


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


def _rounded(value: Any) -> Any:
    """Returns JSON with numbers as exact as they are worth reading."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value
