"""Rows that failed for reasons that may pass, and the units that are embedded again for their sake.

Promises: the grain is the unit, since a shard is complete or absent: all of its rows are embedded again, so that the
bytes are those of a job in which the reads had worked at once. Finding them changes nothing.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.directory.withdrawal import published_markers, withdraw
from lit_precompute.pipelines.embed.job import JobError
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.workers.failure_limit import FailureLimit
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.wording import counted


class RetriedRows(NamedTuple):
    """What came of a retry: rows that were attempted again, and how many rows more than before have embeddings."""

    num_attempted: int
    num_more: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retry:
    """What is embedded again.

    Attributes:
      units: numbers of the units.
      finished: all units that have shards, these included.
      num_attempted: their rows that failed for reasons that may pass.
      num_failed: their rows that failed for any reason.
      num_staying: rows of all units that failed for reasons that do not pass.
      digest: of the finished dataset's manifest; "" of an unfinished job.
    """

    units: frozenset[int]
    finished: frozenset[int]
    num_attempted: int
    num_failed: int
    num_staying: int
    digest: str = ""

    def is_of(self, directory: JobDirectory) -> bool:
        """Returns whether the finished dataset is still the one that was found."""
        return bool(self.digest) and directory.is_published() and Manifest.read(directory.folder).digest == self.digest

    def begin(self, directory: JobDirectory, options: EmbedOptions, plan: Plan | None) -> None:
        """Makes the units that are embedded again unfinished ones.

        Args:
          directory: the output.
          options: of the job.
          plan: None if only workers can make it: the one that does begins the retry of a finished dataset.
        """
        if not directory.is_published():
            directory.markers.remove(self.units)
        elif plan is not None:
            withdraw(directory, options, plan)

    def outcome(self, manifest: Manifest) -> RetriedRows:
        """Returns what came of it, once the dataset is published."""
        num_failed = manifest.shards.num_failures[sorted(self.units)].sum()
        return RetriedRows(self.num_attempted, self.num_failed - int(num_failed))


def find_retry(
    directory: JobDirectory, options: EmbedOptions, plan: Plan | None, say: Callable[[str], None]
) -> Retry | None:
    """Returns what is to be embedded again, of an unfinished job or a finished dataset; None if nothing is.

    Args:
      directory: the output.
      options: of the job.
      plan: of the job, if it is known.
      say: called with a line that says what was found.

    Raises:
      JobError: the finished dataset cannot be taken back into a job, or more rows than allowed would fail again.
    """
    if directory.is_published():
        manifest = Manifest.read(directory.folder)
        retry = _of(published_markers(directory.folder, manifest), manifest.digest)
    else:
        retry = _of(directory.markers.read_many(sorted(directory.markers.numbers())), digest="")
    if retry is None:
        say("no row has failed for a reason that may pass")
        return None
    limit = FailureLimit.parse(options.max_failures, plan.num_rows if plan else None)
    if limit.is_exceeded(retry.num_staying):
        raise JobError(
            f"--max-failures allows {limit.rows:,}, and {counted(retry.num_staying, 'row')} failed for reasons that "
            "do not pass: nothing was changed; give a higher --max-failures"
        )
    failed, shards = counted(retry.num_attempted, "failed row"), counted(len(retry.units), "shard")
    say(f"attempting {failed} again: {shards} will be embedded again")
    return retry


def forget_failures(directory: JobDirectory) -> bool:
    """Forgets the finished shards of a job if none of them holds a row; returns whether it did.

    What made every row fail, such as a folder that was not mounted, may have been mended since.
    """
    finished = directory.markers.numbers()
    markers = map(directory.markers.read, sorted(finished))
    if not finished or any(marker and marker.info.num_rows for marker in markers):
        return False
    directory.markers.remove(finished)
    return True


def _of(markers: Iterable[ShardMarker], digest: str) -> Retry | None:
    units, finished = set[int](), set[int]()
    counts: collections.Counter[str] = collections.Counter()
    for marker in markers:
        finished.add(marker.info.shard)
        if marker.num_passing:
            units.add(marker.info.shard)
            counts["failed"] += marker.info.num_failures
        counts["passing"] += marker.num_passing
        counts["staying"] += marker.info.num_failures - marker.num_passing
    if not units:
        return None
    return Retry(
        units=frozenset(units),
        finished=frozenset(finished),
        num_attempted=counts["passing"],
        num_failed=counts["failed"],
        num_staying=counts["staying"],
        digest=digest,
    )
