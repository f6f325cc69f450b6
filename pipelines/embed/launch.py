"""One launch of an embedding job: plans, runs and publishes it, or resumes one that was stopped.

Promises: wrong input is an error before the output belongs to the job. Cheap checks come first: those that need no look
into the source, then those that need no tower, then the others. Nothing here prints: progress goes to the caller's
`report`.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lit_precompute.pipelines.embed.errors import EmbedError, in_words, without_stacks
from lit_precompute.pipelines.embed.failure_limit import FailureLimit, describe_failures, example_of_failure
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.moved_source import check_same_source, open_under_first_names
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planned_files import PlannedFiles, version_of
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.precompute.sources.opening import check_source
from lit_precompute.schemas import Manifest, SourceInfo
from lit_precompute.schemas.storage import num_retried, refuse_url
from lit_precompute.schemas.wording import counted
from lit_precompute.schemas.writing.publishing import check_files

if TYPE_CHECKING:  # it imports JAX
    from lit_precompute.pipelines.embed.process_registry import JobProgress

_LOOK_EVERY_S = 0.5
_STOP_S = 60.0


class EmbedStopped(Exception):  # noqa: N818 -- requested, so not an error
    """The job was stopped on request; finished shards are kept."""


class EmbedProgress(NamedTuple):
    """Rows of the whole job, earlier launches included; the rate is None until it is known.

    `num_retried` counts the reads of this launch that a server or a network broke and that were tried again; those of
    workers in other processes are known at the end.
    """

    num_done: int
    num_rows: int
    num_failures: int
    rows_per_second: float | None
    num_retried: int = 0


class Launch:
    """A planned job with its output directory, ready to run."""

    def __init__(
        self,
        options: EmbedOptions,
        *,
        beam_flags: Sequence[str] = (),
        on_fetch: Callable[[str, int, int], None] | None = None,
        say: Callable[[str], None] = lambda words: None,
    ):
        """Plans the job.

        Args:
          options: what to embed.
          beam_flags: Beam's pipeline options; without a runner the job runs in this process.
          on_fetch: called with (name, bytes so far, total bytes or 0) while weights are downloaded.
          say: called with a line for each choice made on the user's behalf.

        Raises:
          ValueError, OSError: the source, tower, weights, options or output cannot be used.
          ModuleNotFoundError: the extra `embed` is not installed.
        """
        refuse_url("--output", options.output)
        self._num_retried_before, self._num_retried_elsewhere = num_retried(), 0
        check_embed_extra()
        self._options = options
        self._directory = JobDirectory(options.output)
        self._directory.check_usable()
        noted = self._directory.noted()
        if noted:
            self._directory.check({"options": {**noted["options"], **options.recorded()}})
        versions = [version_of(path) for path in check_source(options.source, format=options.source_format)]
        from lit_precompute.towers.loading import find_file

        find_file(options.tower.name, options.tower.weights, progress=on_fetch)
        first = SourceInfo.model_validate(noted["source"]) if noted else None
        self._source = open_under_first_names(
            options.source,
            format=options.source_format,
            columns=options.columns,
            sample_name=options.sample_name,
            first=first,
        )
        if first is not None:
            check_same_source(self._directory, self._source.info, first)
        self._limit = FailureLimit.parse(options.max_failures, self._source.num_rows)
        self._plan(beam_flags, PlannedFiles.of(self._source.info, versions), say)
        self.is_finished = self._directory.claim(self.job)
        if not self.is_finished and self._directory.forget_failures():
            say("no row was embedded so far: starting again")
        markers = {} if self.is_finished else self._directory.finished()
        self.num_done_before = sum(marker.info.rows_read for marker in markers.values())
        self._num_failed_before = sum(marker.info.num_failures for marker in markers.values())
        self._first_seen: tuple[float, int] | None = None

    @property
    def num_retried(self) -> int:
        """Returns how many reads were tried again since the launch began, those of planning included."""
        return num_retried() - self._num_retried_before + self._num_retried_elsewhere

    def _plan(self, beam_flags: Sequence[str], files: PlannedFiles, say: Callable[[str], None]) -> None:
        """Plans the job, with everything that has to import JAX, TensorFlow and Beam."""
        from lit_precompute.pipelines.embed import planning, runners

        # Beam's default runner may download a program.
        named = any(flag.split("=")[0] == "--runner" for flag in beam_flags)
        self._beam_flags = [*beam_flags] if named else ["--runner=FnApiRunner", *beam_flags]
        runners.check_runner(self._beam_flags)
        here = runners.embeds_here(self._beam_flags)
        self.job, self._units = planning.plan(self._options, self._source, files=files, embeds_here=here, say=say)
        self.extent = self._source.extent

    def run(
        self,
        report: Callable[[EmbedProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Manifest:
        """Embeds the missing units and returns the manifest.

        Args:
          report: called about twice a second, from another thread.
          should_stop: called as often; True stops a job in this process after the current batch.

        Raises:
          DatasetError: the job was finished before, and files of its dataset are missing or were changed.
          EmbedError: a worker failed, or more rows failed than allowed, or all; finished shards are kept.
          EmbedStopped: `should_stop` returned True.
        """
        if not self.is_finished:
            self._embed(report, should_stop)
        if not self._directory.is_published():
            raise EmbedError(self._why_not_published())
        manifest = Manifest.read(self._options.output)
        check_files(self._options.output, manifest.tables, manifest.shards)
        return manifest

    def _embed(self, report: Callable[[EmbedProgress], None], should_stop: Callable[[], bool]) -> None:
        from lit_precompute.pipelines.embed import graph
        from lit_precompute.pipelines.embed.process_registry import PROCESS, JobProgress

        progress = JobProgress()

        def look() -> None:
            if should_stop():
                progress.request_stop()
            report(self._look(progress))

        with PROCESS.launching(self._options.output, progress), _repeated(look), without_stacks():
            try:
                PROCESS.take_retried()  # those of planning
                before = num_retried()
                by_workers = graph.run(
                    self._options, self.job, self._source, self._units, self._limit, self._beam_flags
                )
                self._num_retried_elsewhere = max(0, by_workers - (num_retried() - before))
            except Exception as error:  # each runner wraps a worker's error in its own way
                is_stopped = progress.is_stop_requested
                # Runners do not wait for the other units; a thread at work while the interpreter ends would abort it.
                progress.request_stop()
                progress.wait_for_units(_STOP_S)
                if is_stopped:
                    raise EmbedStopped("finished shards are kept: run the same command again to resume") from error
                cause = in_words(error, self._options.output)
                resume = ". Finished shards are kept: run the same command again to resume"
                raise EmbedError(
                    f"the job stopped: {cause.sentence}{'' if cause.is_final else resume}", is_bug=cause.is_bug
                ) from error

    def _look(self, progress: "JobProgress") -> EmbedProgress:
        # Rows of this process, or shards finished by workers elsewhere, whichever is more.
        num_done = self.num_done_before + progress.num_rows
        if not progress.num_rows:
            finished = self._directory.finished().values()
            num_done = max(num_done, sum(marker.info.rows_read for marker in finished))
        now_s, rate = time.monotonic(), None
        if self._first_seen is None and num_done > self.num_done_before:
            self._first_seen = now_s, num_done
        if self._first_seen and num_done > self._first_seen[1]:
            rate = (num_done - self._first_seen[1]) / (now_s - self._first_seen[0])
        num_failures = self._num_failed_before + progress.num_failures
        return EmbedProgress(num_done, self.job.num_rows, num_failures, rate, self.num_retried)

    def _why_not_published(self) -> str:
        markers = list(self._directory.finished().values())
        num_failures = sum(marker.info.num_failures for marker in markers)
        if self._limit.is_exceeded(num_failures):
            return (
                f"{counted(num_failures, 'row')} failed, --max-failures allows {self._limit.rows:,}: "
                f"{describe_failures(markers)}. Fix the source and give another --output, or run the same command with "
                "a higher --max-failures to resume"
            )
        if len(markers) < self.job.num_units:
            return (
                f"{counted(self.job.num_units - len(markers), 'shard')} of {self.job.num_units:,} are not finished: "
                "another launcher has begun them again; run the same command again"
            )
        assert num_failures == self.job.num_rows, "the runner succeeded: only failures can have stopped the job"
        return (
            f"no row was embedded; all {num_failures:,} failed: {describe_failures(markers)}. For example "
            f"{example_of_failure(self._options.output, markers)}. Mend the cause and run the same command again, "
            "which starts anew; if the source itself has to change, give another --output"
        )


def embed(
    options: EmbedOptions,
    *,
    beam_flags: Sequence[str] = (),
    report: Callable[[EmbedProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Manifest:
    """Embeds a source and returns the dataset's manifest; resumes a job that was stopped.

    Args:
      options: what to embed.
      beam_flags: Beam's pipeline options, such as `--runner=DataflowRunner`; without a runner the job runs in this
        process.
      report: called about twice a second, from another thread.
      should_stop: called as often; True stops a job in this process after the current batch.

    Raises:
      ValueError, OSError: the source, tower, weights, options or output cannot be used.
      EmbedError: a worker failed, or more rows failed than allowed, or all; finished shards are kept.
      EmbedStopped: `should_stop` returned True.
    """
    return Launch(options, beam_flags=beam_flags).run(report, should_stop)


@contextlib.contextmanager
def _repeated(look: Callable[[], None]) -> Iterator[None]:
    """Calls `look` regularly from a thread while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            look()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
