"""One launch of an embedding job: plans, runs and publishes it, or resumes one that was stopped.

Promises: wrong input is an error before the output belongs to the job. Cheap checks come first: those that need no look
into the source, then those that need no tower, then the others. Nothing here prints: progress goes to the caller's
`report`.
"""

import dataclasses
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lit_precompute.pipelines.embed.counters import NUM_RETRIED
from lit_precompute.pipelines.embed.errors import EmbedError, in_words, without_stacks
from lit_precompute.pipelines.embed.found_source import check_listing, find_source, look_here
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.plan import Plan
from lit_precompute.pipelines.embed.progress import EmbedProgress, Watch
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.storage import absolute, num_retried
from lit_precompute.schemas.writing.publishing import check_files

if TYPE_CHECKING:  # it imports Beam
    from lit_precompute.pipelines.engines.running import RunningJob

_STOP_S = 60.0


class EmbedStopped(Exception):  # noqa: N818 -- requested, so not an error
    """The job was stopped on request; finished shards are kept."""


class Launch:
    """A planned job with its output directory, ready to run.

    Attributes:
      is_finished: whether its dataset is complete already.
    """

    def __init__(
        self,
        options: EmbedOptions,
        *,
        beam_flags: Sequence[str] = (),
        on_fetch: Callable[[str, int, int], None] | None = None,
        on_look: Callable[[int, int], None] = lambda done, total: None,
        say: Callable[[str], None] = lambda words: None,
    ):
        """Plans the job.

        Args:
          options: what to embed.
          beam_flags: Beam's pipeline options; without a runner the job runs in this process.
          on_fetch: called with (name, bytes so far, total bytes or 0) while weights are downloaded.
          on_look: called with (files so far, all files) while this process looks into the source.
          say: called with a line for each choice made on the user's behalf.

        Raises:
          ValueError, OSError: the source, tower, weights, options or output cannot be used.
          ModuleNotFoundError: the extra `embed` is not installed.
        """
        self._options = options = dataclasses.replace(options, output=absolute(options.output))
        self._num_retried_before, self._num_retried_elsewhere = num_retried(), 0
        check_embed_extra()
        self._directory = JobDirectory(options.output)
        self._directory.check_usable()
        if noted := self._directory.noted():
            self._directory.check({"options": {**noted["options"], **options.recorded()}})
        self._source = find_source(options, self._directory)
        self._set_runner(beam_flags)
        if self._embeds_here:
            self._plan_here(on_fetch, on_look, say)
        else:
            check_listing(self._source, self._directory)
        self.is_finished = self._directory.is_published()
        if self.is_finished:
            self._directory.sweep()  # left over by a kill between publishing and sweeping
        elif self._forget_failures():
            say("no row was embedded so far: starting again")
        self._finished = set() if self.is_finished else self._directory.markers.numbers()
        self._watch = Watch(self._directory, self.plan, self._finished)

    @property
    def num_done_before(self) -> int:
        """Rows that earlier launches have embedded, or found to fail."""
        return self._watch.num_done_before

    @property
    def num_retried(self) -> int:
        """Returns how many reads were tried again since the launch began, those of planning included."""
        return num_retried() - self._num_retried_before + self._num_retried_elsewhere

    def _set_runner(self, beam_flags: Sequence[str]) -> None:
        from lit_precompute.pipelines.engines import runners
        from lit_precompute.pipelines.engines.submission import checked_flags

        runners.check_runner(beam_flags)
        self._embeds_here = runners.embeds_here(beam_flags)
        options = self._options
        places = {"--source": options.source.path, "--output": options.output, "--weights": options.tower.weights}
        self._beam_flags = checked_flags(beam_flags, tower=options.tower.name, places=places)

    def _plan_here(
        self,
        on_fetch: Callable[[str, int, int], None] | None,
        on_look: Callable[[int, int], None],
        say: Callable[[str], None],
    ) -> None:
        """Does in this process what the first worker would do: looks, loads the tower, chooses the batch size."""
        from lit_precompute.towers.loading import find_file

        options = self._options
        find_file(options.tower.name, options.tower.weights, progress=on_fetch)
        self._source = look_here(self._source, options, self._directory, on_look)
        from lit_precompute.pipelines.embed import preparing  # imports JAX

        assert self._source.plan is not None
        tower, batch_size = preparing.prepare_here(options, self._directory, self._source.plan, say)
        self._directory.claim(options, self._source.plan)
        if not self._directory.is_published():
            self._directory.settle_tower(tower.card())
            if options.batch_size is None:
                self._directory.settle_batch_size(batch_size)

    def _forget_failures(self) -> bool:
        """Forgets the finished shards if none of them holds a row; returns whether it did.

        What made every row fail, such as a folder that was not mounted, may have been mended since.
        """
        finished = self._directory.markers.numbers()
        markers = map(self._directory.markers.read, sorted(finished))
        if not finished or any(marker and marker.info.num_rows for marker in markers):
            return False
        self._directory.markers.remove(finished)
        return True

    def is_followed(self, *, wait: bool) -> bool:
        """Returns whether this process follows the job to its end.

        Args:
          wait: whether it was asked to.

        Raises:
          ValueError: it was not, but the job would end with this process.
        """
        from lit_precompute.pipelines.engines import submission

        if not wait and not self.is_finished and not submission.outlives_launcher(self._beam_flags):
            raise ValueError("--no-wait: this job ends with this process; leave it out, or give another --runner")
        return self.is_finished or (wait and not submission.is_template(self._beam_flags))

    @property
    def output(self) -> str:
        """The output's absolute path or URL."""
        return self._options.output

    @property
    def source_path(self) -> str:
        """Where the source is, as it was given."""
        return self._options.source.path

    @property
    def num_files(self) -> int:
        """Files of the source."""
        return len(self._source.files)

    @property
    def tower_name(self) -> str:
        """Name of the tower."""
        return self._options.tower.name

    @property
    def plan(self) -> Plan | None:
        """What was found in the source; None if workers have to look first."""
        return self._source.plan

    def run(
        self,
        report: Callable[[EmbedProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Manifest:
        """Embeds the missing units and returns the manifest.

        Args:
          report: called about twice a second.
          should_stop: called as often; True stops a job in this process after the current batch, and cancels another.

        Raises:
          DatasetError: the job was finished before, and files of its dataset are missing or were changed.
          EmbedError: a worker failed, or more rows failed than allowed, or all; finished shards are kept.
          EmbedStopped: `should_stop` returned True.
        """
        if not self.is_finished:
            self._embed(report, should_stop)
        if not self._directory.is_published():
            raise EmbedError("the job ended before the dataset was published; run the same command again to resume")
        manifest = Manifest.read(self._options.output)
        check_files(self._directory.folder, manifest.shards, manifest.tables, manifest.references)
        return manifest

    def start(self) -> "RunningJob":
        """Starts the job and returns, at once or when its engine has accepted it; `run` also waits for its end."""
        from lit_precompute.pipelines.embed import graph
        from lit_precompute.pipelines.embed.look import store_listing
        from lit_precompute.pipelines.engines import runners, submission

        self._directory.take_back_stop()
        launch = LaunchOptions(
            embed=self._options, source=self._source.source, name=uuid.uuid4().hex, files=self._source.versions
        )
        pipeline = runners.new_pipeline(self._beam_flags)
        if self.plan is not None:
            graph.build_planned(pipeline, launch, len(self.plan.units), self._finished)
        else:
            listing = store_listing(self._directory.folder, self._source.files)
            graph.build(pipeline, launch, listing, len(self._source.files))
        job = submission.start(pipeline, self._beam_flags)
        if not self._embeds_here:
            self._directory.note_launch(launch.name, submission.record(job))
        return job

    def _embed(self, report: Callable[[EmbedProgress], None], should_stop: Callable[[], bool]) -> None:
        from lit_precompute.pipelines.embed.process_registry import PROCESS, JobProgress

        progress = JobProgress()
        with PROCESS.launching(self._options.output, progress), without_stacks():
            PROCESS.take_retried()  # those of planning
            before = num_retried()
            job = self.start()

            def look() -> None:
                if should_stop() and not progress.is_stop_requested:
                    progress.request_stop()
                    job.cancel()
                report(self._watch.look(progress.num_rows, progress.num_failures, self.num_retried))

            state = job.wait(look)
            self._num_retried_elsewhere = max(0, job.metrics().get(NUM_RETRIED, 0) - (num_retried() - before))
            if state == "done":
                return
            is_stopped = progress.is_stop_requested
            # Runners do not wait for the other units; a thread at work while the interpreter ends would abort it.
            progress.request_stop()
            progress.wait_for_units(_STOP_S)
            if is_stopped:
                raise EmbedStopped("finished shards are kept: run the same command again to resume") from job.exception
            raise self._in_words(job) from job.exception

    def _in_words(self, job: "RunningJob") -> EmbedError:
        error = job.exception or RuntimeError(f"the job was {job.state()}")
        cause = in_words(error, self._options.output, job.error())
        if cause.says_all:
            return EmbedError(cause.sentence)
        resume = "" if cause.is_final else ". Finished shards are kept: run the same command again to resume"
        return EmbedError(f"the job stopped: {cause.sentence}{resume}", is_bug=cause.is_bug)


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
