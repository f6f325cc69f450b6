"""The report of a whole job, `job-report.json`: how it went, and what was its bottleneck.

Promises: not covered by the manifest, whose digest it cannot change: two runs of one job have equal manifests and
different reports.
"""

import json
from typing import Any

from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitSeconds
from lit_precompute.pipelines.embed.reporting.verdict import Verdict
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


def _rounded(value: Any) -> Any:
    """Returns JSON with numbers as exact as they are worth reading."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value
