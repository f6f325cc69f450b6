"""How fast an unfinished job is, and whether anything is at work on it, from what its workers have left in the output.

Promises: what is not known is None. Workers' clocks are taken for right: one that is wrong by minutes shifts the last
sign of life, and the recent rate.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lit_precompute.pipelines.embed.directory.attempts import SIGN_EVERY_S, FoundAttempt
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.reporting.intervals import Span, rows_between

# What embeds gives a sign each minute; a large upload, a first compilation or a busy store may hold up a few.
ALIVE_S = 5 * SIGN_EVERY_S
_RECENT_S = 300.0


class Rates(NamedTuple):
    """How fast a job is.

    Attributes:
      began: when the latest launch began, in seconds since 1970.
      last_sign: when anything was last heard of the job.
      num_workers: processes that were heard of within `ALIVE_S`.
      rows_per_second: since the latest launch began, until the last sign.
      recent_rows_per_second: in the five minutes before the last sign.
      rows_in_progress: rows of units that are not finished.
    """

    began: float | None
    last_sign: float | None
    num_workers: int
    rows_per_second: float | None
    recent_rows_per_second: float | None
    rows_in_progress: int


def measure(
    markers: Iterable[ShardMarker],
    attempts: Mapping[int, FoundAttempt],
    launches: Mapping[str, Mapping[str, Any]],
    now: float,
) -> Rates:
    """Returns how fast a job is.

    Args:
      markers: of its finished units.
      attempts: the latest attempts at the others.
      launches: what launchers have recorded.
      now: seconds since 1970.
    """
    reports = [(marker.report, marker.info.rows_read) for marker in markers if marker.report]
    going_on = [attempt for attempt in attempts.values() if attempt.began and not attempt.error]
    work = [(Span(report.began, report.ended), num_rows) for report, num_rows in reports]
    work += [(Span(attempt.began, attempt.last_sign), attempt.num_rows) for attempt in going_on]
    launched = [record["began"] for record in launches.values() if "began" in record]
    signs = [(report.ended, report.worker) for report, _ in reports]
    signs += [(attempt.last_sign, attempt.worker) for attempt in going_on]
    last_sign = max([moment for moment, _ in signs] + launched, default=None)
    began = max(launched, default=min((span.began for span, _ in work), default=None))
    recent = whole = None
    if last_sign is not None and began is not None:
        whole = _rate(work, Span(began, last_sign))
        recent = _rate(work, Span(max(began, last_sign - _RECENT_S), last_sign))
    alive = {worker for moment, worker in signs if now - moment <= ALIVE_S}
    in_progress = sum(attempt.num_rows for attempt in going_on if now - attempt.last_sign <= ALIVE_S)
    return Rates(began, last_sign, len(alive), whole, recent, in_progress)


def _rate(work: Iterable[tuple[Span, int]], window: Span) -> float | None:
    seconds = window.ended - window.began
    num_rows = rows_between(work, window)
    return num_rows / seconds if seconds > 0 and num_rows else None
