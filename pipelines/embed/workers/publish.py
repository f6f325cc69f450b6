"""Publishing the dataset, when every unit has its shard."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from lit_precompute.pipelines.embed.directory.attempts import Attempts, SetAside
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.directory.results import Result
from lit_precompute.pipelines.embed.errors import NotPublishedError, located
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.keys import check_shards
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.workers.failure_limit import FailureLimit, describe_failures, example_of_failure
from lit_precompute.schemas.wording import counted

_MAX_NAMED = 5


class Publish(beam.DoFn):
    """Takes the results of all units and hashes of keys that repeat; publishes, or says why it cannot.

    Of several datasets, each that is complete is published, whatever the others lack. A source of which a local file
    has changed since it was listed is an error, too.
    """

    def __init__(self, launch: LaunchOptions):
        """Takes the launch."""
        self._launch = launch

    def process(self, element: tuple[None, Mapping[str, Iterable[Any]]]) -> Iterator[int]:
        """Yields each dataset's number of rows."""
        results = [Result.from_bytes(data) for data in element[1]["results"]]
        repeats = list(element[1]["repeats"])
        reasons: list[str] = []
        for number, options in enumerate(self._launch.datasets):
            own_repeats = {each: [unit for _, unit in shards] for each, shards in repeats if shards[0][0] == number}
            own_results = [result for result in results if result.dataset == number]
            with located("publishing the dataset", options.output):
                try:
                    yield from self._publish_once(options, own_results, own_repeats)
                except NotPublishedError as error:
                    reasons.append(f"{options.output}: {error}" if self._launch.others else str(error))
        if reasons:
            raise NotPublishedError("; ".join(reasons))

    def _publish_once(
        self, options: EmbedOptions, results: Sequence[Result], repeats: Mapping[bytes, Sequence[int]]
    ) -> Iterator[int]:
        """Yields the number of rows; nothing if another launcher on the same output has published, even meanwhile."""
        directory = JobDirectory(options.output)
        if not directory.is_published():
            try:
                yield self._publish(directory, options, results, repeats)
                return
            except Exception:
                if not directory.is_published():
                    raise
        directory.sweep()

    def _publish(
        self,
        directory: JobDirectory,
        options: EmbedOptions,
        results: Sequence[Result],
        repeats: Mapping[bytes, Sequence[int]],
    ) -> int:
        markers = {result.marker.info.shard: result.marker for result in results if result.marker}
        plan = directory.plan()
        assert plan is not None, "units were embedded after it was stored"
        lost = [unit for unit in range(len(plan.units)) if unit not in markers]
        # Another launcher may have finished them; and engines may deal the results to several groups.
        markers |= {marker.info.shard: marker for marker in directory.markers.read_many(lost)}
        aside = [result.aside for result in results if result.aside and result.aside.unit not in markers]
        is_stopped = directory.is_stop_requested()
        if reason := why_not_publishable(options, plan, markers, aside, is_stopped=is_stopped):
            for each in aside:
                Attempts(directory.folder, self._launch.name).forget_unit(each.unit)
            raise NotPublishedError(reason)
        self._launch.files.check()
        check_shards(directory.folder, plan.tables, markers, repeats, self._launch.source.on_repeated_keys)
        return directory.publish(directory.job(options, plan), markers.values()).num_rows


def why_not_publishable(
    options: EmbedOptions,
    plan: Plan,
    markers: dict[int, ShardMarker],
    aside: Sequence[SetAside],
    *,
    is_stopped: bool = False,
) -> str:
    """Returns why a job's dataset cannot be published; "" if it can.

    Args:
      options: of the job.
      plan: of the job.
      markers: of the finished shards.
      aside: units that failed too often.
      is_stopped: whether workers were asked to stop.
    """
    found = [marker for _, marker in sorted(markers.items())]
    num_failures = sum(marker.info.num_failures for marker in found)
    num_rows = sum(marker.info.rows_read for marker in found)
    limit = FailureLimit.parse(options.max_failures, plan.num_rows or num_rows)
    if limit.is_exceeded(num_failures):
        return (
            f"{counted(num_failures, 'row')} failed, --max-failures allows {limit.rows:,}: "
            f"{describe_failures(found)}. Fix the source and give another --output, or run the same command with "
            "a higher --max-failures to resume"
        )
    if aside:
        return _set_aside(plan, aside)
    missing = [unit for unit in range(len(plan.units)) if unit not in markers]
    if missing:
        cancelled = "it was cancelled; " if is_stopped else ""
        return (
            f"{cancelled}{counted(len(missing), 'shard')} of {len(plan.units):,} are missing: {_listed(missing)}; "
            "run the same command again to resume"
        )
    if num_failures < num_rows:
        return ""
    return (
        f"no row was embedded; all {num_failures:,} failed: {describe_failures(found)}. For example "
        f"{example_of_failure(options.output, found)}. Mend the cause and run the same command again, "
        "which starts anew; if the source itself has to change, give another --output"
    )


def _set_aside(plan: Plan, aside: Sequence[SetAside]) -> str:
    units = sorted(aside)
    whys = collections.Counter(each.why for each in units)
    first, (why, _) = units[0], whys.most_common(1)[0]
    files = ", ".join(part.path for part in plan.units[first.unit].files)
    return (
        f"{counted(len(units), 'unit')} of {len(plan.units):,} failed three times and were set aside: "
        f"{_listed([each.unit for each in units])}; unit {first.unit} reads {files:.300}; {why}. Everything else is "
        "kept: run the same command again to attempt them again"
    )


def _listed(numbers: Sequence[int]) -> str:
    more = ", ..." if len(numbers) > _MAX_NAMED else ""
    return ", ".join(map(str, numbers[:_MAX_NAMED])) + more
