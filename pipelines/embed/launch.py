"""One launch of an embedding job: plans, runs and publishes it, or resumes one that was stopped.

Promises: wrong input is an error before the output belongs to the job. Cheap checks come first: those that need no look
into the source, then those that need no tower, then the others. Nothing here prints: progress goes to the caller's
`report`.
"""

import dataclasses
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.following import follow
from lit_precompute.pipelines.embed.found_source import check_listing, find_source, look_here
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.plan import Plan
from lit_precompute.pipelines.embed.progress import EmbedProgress, Watch
from lit_precompute.pipelines.embed.retry import RetriedRows, find_retry, forget_failures
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.storage import absolute, num_retried
from lit_precompute.schemas.writing.publishing import check_files

if TYPE_CHECKING:  # it imports Beam
    from lit_precompute.pipelines.engines.running import RunningJob


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
        is_published = self._directory.is_published()
        if is_published:
            self._directory.sweep()  # left over by a kill between publishing and sweeping
        elif forget_failures(self._directory):
            say("no row was embedded so far: starting again")
        self._retry = find_retry(self._directory, options, self.plan, say) if options.retry_failures else None
        self.is_finished = is_published and self._retry is None
        self._finished = self._find_finished()
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
        from lit_precompute.pipelines.engines.submission import checked_flags, requested_accelerator

        runners.check_runner(list(beam_flags))
        self._embeds_here = runners.embeds_here(beam_flags)
        options = self._options
        places = {"--source": options.source.path, "--output": options.output, "--weights": options.tower.weights}
        self._beam_flags = checked_flags(beam_flags, tower=options.tower.name, places=places)
        requested = requested_accelerator(beam_flags)
        if requested.kind != "cpu" and not self._embeds_here:
            self._options = options.on(requested.kind, requested.num_devices)

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

    def _find_finished(self) -> set[int]:
        """Returns the units that this launch need not embed; of a finished dataset, if any are left to do."""
        if self._retry is None:
            return set() if self.is_finished else self._directory.markers.numbers()
        return set(self._retry.finished - self._retry.units)

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
            self._num_retried_elsewhere = follow(
                self.output, self.start, self._watch, lambda: self.num_retried, report, should_stop
            )
        if not self._directory.is_published():
            raise EmbedError("the job ended before the dataset was published; run the same command again to resume")
        manifest = Manifest.read(self._options.output)
        check_files(self._directory.folder, manifest.shards, manifest.tables, manifest.references)
        return manifest

    def num_embedded(self, manifest: Manifest) -> int:
        """Returns how many rows this launch has embedded or found to fail, once its dataset is published."""
        if self.is_finished:
            return 0
        rows_read = manifest.shards.rows_read
        return int(rows_read.sum()) - int(rows_read[sorted(self._finished)].sum())

    def retried_rows(self, manifest: Manifest) -> RetriedRows | None:
        """Returns what came of attempting failed rows again; None if there were none, or that was not asked for."""
        return self._retry.outcome(manifest) if self._retry else None

    def start(self) -> "RunningJob":
        """Starts the job and returns, at once or when its engine has accepted it; `run` also waits for its end."""
        from lit_precompute.pipelines.embed import graph
        from lit_precompute.pipelines.embed.look import store_listing
        from lit_precompute.pipelines.engines import runners, submission

        self._directory.take_back_stop()
        if self._retry:
            self._retry.begin(self._directory, self._options, self.plan)
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
