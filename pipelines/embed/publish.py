"""Publishing the dataset, when every unit has its shard."""

import collections
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from lit_precompute.pipelines.embed.attempts import Attempts, SetAside
from lit_precompute.pipelines.embed.errors import NotPublishedError, located
from lit_precompute.pipelines.embed.failure_limit import FailureLimit, describe_failures, example_of_failure
from lit_precompute.pipelines.embed.job import Job
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.markers import ShardMarker
from lit_precompute.pipelines.embed.results import Result
from lit_precompute.schemas import TowerCard
from lit_precompute.schemas.wording import counted

_MAX_NAMED = 5


class Publish(beam.DoFn):
    """Takes the results of all units; publishes the manifest, or fails and says what is missing.

    A source of which a local file has changed since it was listed is an error, too.
    """

    def __init__(self, launch: LaunchOptions):
        """Takes the launch."""
        self._launch = launch

    def process(self, element: tuple[None, Iterable[bytes]]) -> Iterator[int]:
        """Yields the dataset's number of rows."""
        output = self._launch.embed.output
        directory = JobDirectory(output)
        if directory.is_published():  # by another launcher on the same output
            directory.sweep()
            return
        with located("publishing the dataset", output):
            results = [Result.from_bytes(data) for data in element[1]]
            markers = {result.marker.info.shard: result.marker for result in results if result.marker}
            aside = {result.aside.unit: result.aside for result in results if result.aside}
            job = self._job(directory)
            lost = [unit for unit in range(len(job.plan.units)) if unit not in markers and unit not in aside]
            # Some engines may deal the results of a job to several groups, or drop those of a duplicate attempt.
            markers |= {marker.info.shard: marker for marker in directory.markers.read_many(lost)}
            if reason := why_not_publishable(job, markers, list(aside.values())):
                for unit in aside:
                    Attempts(directory.folder, self._launch.name).forget_unit(unit)
                raise NotPublishedError(reason)
            self._launch.files.check()
            yield directory.publish(job, markers.values()).num_rows

    def _job(self, directory: JobDirectory) -> Job:
        """Returns the job; this worker may never have loaded the tower."""
        plan, noted = directory.plan(), directory.noted()
        assert plan is not None and noted is not None, "units were embedded after the plan"
        batch_size = directory.settled_batch_size()
        assert batch_size is not None, "units were embedded after it was settled"
        tower = TowerCard.model_validate(noted["tower"])
        return Job(options=self._launch.embed, plan=plan, tower=tower, batch_size=batch_size)


def why_not_publishable(job: Job, markers: dict[int, ShardMarker], aside: Sequence[SetAside]) -> str:
    """Returns why a job's dataset cannot be published; "" if it can."""
    found = [marker for _, marker in sorted(markers.items())]
    num_failures = sum(marker.info.num_failures for marker in found)
    num_rows = sum(marker.info.rows_read for marker in found)
    limit = FailureLimit.parse(job.options.max_failures, job.plan.num_rows or num_rows)
    if limit.is_exceeded(num_failures):
        return (
            f"{counted(num_failures, 'row')} failed, --max-failures allows {limit.rows:,}: "
            f"{describe_failures(found)}. Fix the source and give another --output, or run the same command with "
            "a higher --max-failures to resume"
        )
    if aside:
        return _set_aside(job, aside)
    missing = [unit for unit in range(len(job.plan.units)) if unit not in markers]
    if missing:
        return (
            f"{counted(len(missing), 'shard')} of {len(job.plan.units):,} are missing: {_listed(missing)}; "
            "run the same command again to resume"
        )
    if num_failures < num_rows:
        return ""
    return (
        f"no row was embedded; all {num_failures:,} failed: {describe_failures(found)}. For example "
        f"{example_of_failure(job.options.output, found)}. Mend the cause and run the same command again, "
        "which starts anew; if the source itself has to change, give another --output"
    )


def _set_aside(job: Job, aside: Sequence[SetAside]) -> str:
    units = sorted(aside)
    whys = collections.Counter(each.why for each in units)
    first, (why, _) = units[0], whys.most_common(1)[0]
    files = ", ".join(part.path for part in job.plan.units[first.unit].files)
    return (
        f"{counted(len(units), 'unit')} of {len(job.plan.units):,} failed three times and were set aside: "
        f"{_listed([each.unit for each in units])}; unit {first.unit} reads {files:.300}; {why}. Everything else is "
        "kept: run the same command again to attempt them again"
    )


def _listed(numbers: Sequence[int]) -> str:
    more = ", ..." if len(numbers) > _MAX_NAMED else ""
    return ", ".join(map(str, numbers[:_MAX_NAMED])) + more
