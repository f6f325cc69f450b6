"""One of a launch's datasets as a worker sees it: what of a unit is still to be done, and the unit's end."""

import contextlib

from lit_precompute.pipelines.embed.directory.attempts import Attempt, Attempts, SetAside
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.directory.results import Result
from lit_precompute.pipelines.embed.errors import in_words
from lit_precompute.pipelines.embed.job import Job
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.workers.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.workers.preparing import settled_job
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.precompute.embedding import TowerUse


class WorkerDataset:
    """A dataset: its tower's shard of each unit, its attempts and its limit of failures.

    Attributes:
      number: in the launch.
      directory: its output.
    """

    def __init__(self, launch: LaunchOptions, number: int):
        """Opens the output; the job waits for the first unit, when the plan is there for sure."""
        self.number = number
        self.directory = JobDirectory(launch.datasets[number].output)
        self._options: EmbedOptions = launch.datasets[number]
        self._attempts = Attempts(self.directory.folder, launch.name)
        self._job: Job | None = None
        self._attempt: Attempt | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the job is settled."""
        return self._job is not None

    @property
    def job(self) -> Job:
        """The job, once it is settled."""
        assert self._job is not None, "settled with the first unit"
        return self._job

    def settle(self) -> None:
        """Settles with the first unit what the launcher could not know; see `settled_job`."""
        if self._job is None:
            self._job = settled_job(self._options, self.directory)

    def is_open(self) -> bool:
        """Returns whether units are to be embedded: no, once a faster launcher has published it, or it was stopped."""
        return not self.directory.is_published() and not self.directory.is_stop_requested()

    def is_limit_exceeded(self, num_failures: int) -> bool:
        """Returns whether so many failed rows are too many."""
        limit = FailureLimit.parse(self._options.max_failures, self.job.plan.num_rows)
        return limit.is_exceeded(num_failures)

    def use(self) -> TowerUse:
        """Returns the tower on this process's devices."""
        job = self.job
        embedder = PROCESS.embedder(job.options.tower, job.batch_size)
        return TowerUse(embedder=embedder, num_views=job.options.views, vector_type=job.options.vector_type)

    def begin(self, unit: int) -> Result | None:
        """Begins an attempt at a unit; returns its result instead if there is nothing left to do."""
        if marker := self.directory.markers.read(unit):  # another attempt was faster
            return Result.finished(marker, self.number)
        attempt = self._attempts.begin(unit)
        if isinstance(attempt, SetAside):
            return Result.set_aside(attempt, self.number)
        self._attempt = attempt
        return None

    def end_badly(self, error: Exception, *, is_stop_requested: bool) -> None:
        """Records why the attempt ended, unless it was asked to."""
        assert self._attempt is not None, "has begun"
        with contextlib.suppress(OSError):  # a full disk, for example, which is what has to be said
            if is_stop_requested:
                self._attempts.forget(self._attempt)
            else:
                self._attempts.fail(self._attempt, in_words(error, self._options.output).sentence)

    @property
    def num_attempts(self) -> int:
        """Attempts at the unit so far, this one included."""
        assert self._attempt is not None, "has begun"
        return self._attempt.order

    def give_sign(self, *, began: float, num_rows: int) -> None:
        """Records that the attempt goes on; see `Attempts.give_sign`."""
        assert self._attempt is not None, "has begun"
        self._attempts.give_sign(self._attempt, began=began, num_rows=num_rows)

    def mark(self, marker: ShardMarker) -> None:
        """Marks a shard as finished."""
        self.directory.markers.write(marker)
        if self.directory.is_published():  # a moment ago: nothing may remain of an unfinished job
            self.directory.sweep()
