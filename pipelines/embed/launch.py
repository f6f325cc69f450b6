"""One launch of an embedding job: plans, runs and publishes it, or resumes one that was stopped.

Promises: wrong input is an error before the output belongs to the job. Cheap checks come first: those that need no look
into the source, then those that need no tower, then the others. Nothing here prints: progress goes to the caller's
`report`.
"""

import dataclasses
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lit_precompute.pipelines.embed.following import follow
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.launched_dataset import LaunchedDataset, find_published, leading
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.found_source import check_listing, find_source, look_here
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress, Watch
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.storage import absolute, num_retried

if TYPE_CHECKING:  # it imports Beam
    from lit_precompute.pipelines.engines.running import RunningJob


class Launch:
    """A planned job with its outputs, ready to run: one dataset, or one for each of several towers.

    Attributes:
      datasets: one for each tower.
      is_finished: whether all of them are complete already.
      embeds_here: whether this process embeds, and not an engine's workers.
    """

    def __init__(
        self,
        options: EmbedOptions,
        *,
        others: Sequence[EmbedOptions] = (),
        beam_flags: Sequence[str] = (),
        on_fetch: Callable[[str, int, int], None] | None = None,
        on_look: Callable[[int, int], None] = lambda done, total: None,
        say: Callable[[str], None] = lambda words: None,
    ):
        """Plans the job.

        Args:
          options: what to embed.
          others: the same with other towers and outputs, to embed in one pass over the images.
          beam_flags: Beam's pipeline options; without a runner the job runs in this process.
          on_fetch: called with (name, bytes so far, total bytes or 0) while weights are downloaded.
          on_look: called with (files so far, all files) while this process looks into the source.
          say: called with a line for each choice made on the user's behalf.

        Raises:
          ValueError, OSError: the source, tower, weights, options or output cannot be used.
          ModuleNotFoundError: the extra `embed` is not installed.
        """
        self._num_retried_before, self._num_retried_elsewhere = num_retried(), 0
        check_embed_extra()
        given = [dataclasses.replace(each, output=absolute(each.output)) for each in (options, *others)]
        published = find_published(given)
        try:
            self._prepare(given, beam_flags, on_fetch, on_look, say)
        except Exception:
            if find_published(given) <= published:
                raise
            # Another launcher has published meanwhile, and removed what this one compared with.
            self._prepare(given, beam_flags, on_fetch, on_look, say)

    def _prepare(
        self,
        given: Sequence[EmbedOptions],
        beam_flags: Sequence[str],
        on_fetch: Callable[[str, int, int], None] | None,
        on_look: Callable[[int, int], None],
        say: Callable[[str], None],
    ) -> None:
        self.datasets = [LaunchedDataset(each) for each in given]
        lead = leading(self.datasets)
        self._source = find_source(lead.options, lead.directory)
        self._set_runner(beam_flags)
        if self.embeds_here:
            self._plan_here(lead, on_fetch, on_look, say)
        else:
            self._check_elsewhere()
        for dataset in self.datasets:
            dataset.look_at_shards(self.plan, self._said_of(dataset, say))
        self._open = [dataset for dataset in self.datasets if not dataset.is_finished]
        self.is_finished = not self._open
        self._watch = Watch(
            [dataset.directory for dataset in self._open], self.plan, [dataset.finished for dataset in self._open]
        )

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
        from lit_precompute.towers.registry import folder_of

        runners.check_runner(beam_flags)
        self.embeds_here = runners.embeds_here(beam_flags)
        tower, *other_towers = (dataset.options.tower.name for dataset in self.datasets)
        options = self.datasets[0].options
        places: dict[str, str | None] = {"--source": options.source.path, "--output": options.output}
        for dataset in self.datasets:
            used = dataset.options.tower
            places["--weights" if not other_towers else f"--towers {used.name}@"] = used.weights
            places["--tower" if not other_towers else f"--towers {used.name}"] = folder_of(used.name)
        self._beam_flags = checked_flags(beam_flags, tower=tower, other_towers=other_towers, places=places)
        requested = requested_accelerator(beam_flags)
        if requested.kind != "cpu" and not self.embeds_here:
            for dataset in self.datasets:
                dataset.options = dataset.options.on(requested.kind, requested.num_devices)

    def _plan_here(
        self,
        lead: LaunchedDataset,
        on_fetch: Callable[[str, int, int], None] | None,
        on_look: Callable[[int, int], None],
        say: Callable[[str], None],
    ) -> None:
        """Does in this process what the first worker would do: looks, loads towers, chooses batch sizes."""
        from lit_precompute.towers.loading import find_file

        for dataset in self.datasets:
            find_file(dataset.options.tower.name, dataset.options.tower.weights, progress=on_fetch)
        self._source = look_here(self._source, lead.options, lead.directory, on_look)
        from lit_precompute.pipelines.embed.workers.process_registry import PROCESS  # imports JAX

        assert self._source.plan is not None
        PROCESS.make_room(len(self.datasets))
        for dataset in self.datasets:
            dataset.prepare_here(self._source.plan, self._said_of(dataset, say))
        for dataset in self.datasets:
            dataset.claim(self._source.plan)

    def _said_of(self, dataset: LaunchedDataset, say: Callable[[str], None]) -> Callable[[str], None]:
        """Returns what says something of a dataset, by the name of its tower if there are others."""
        if len(self.datasets) == 1:
            return say
        return lambda words: say(f"{dataset.options.tower.name}: {words}")

    def _check_elsewhere(self) -> None:
        """Checks what can be checked where only workers look into the files and load the towers."""
        for dataset in self.datasets:
            check_listing(self._source, dataset.directory)
        if self._source.plan is not None and len(self.datasets) > 1:
            for dataset in self.datasets:  # those that were begun have it; workers find it in the others
                dataset.claim(self._source.plan)

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
    def source_path(self) -> str:
        """Where the source is, as it was given."""
        return self.datasets[0].options.source.path

    @property
    def num_files(self) -> int:
        """Files of the source."""
        return len(self._source.files)

    @property
    def plan(self) -> Plan | None:
        """What was found in the source; None if workers have to look first."""
        return self._source.plan

    def run(
        self,
        report: Callable[[EmbedProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Manifest:
        """Embeds the missing units and returns the manifest, of several datasets the first one's.

        Args:
          report: called about twice a second.
          should_stop: called as often; True stops a job in this process after the current batch, and cancels another.

        Raises:
          DatasetError: the job was finished before, and files of its dataset are missing or were changed.
          EmbedError: a worker failed, or more rows failed than allowed, or all; finished shards are kept.
          EmbedStopped: `should_stop` returned True.
        """
        return self.run_all(report, should_stop)[0]

    def run_all(
        self,
        report: Callable[[EmbedProgress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[Manifest]:
        """Does what `run` does; returns the manifest of each of `datasets`."""
        if not self.is_finished:
            output = self._open[0].options.output
            self._num_retried_elsewhere = follow(
                output, self.start, self._watch, lambda: self.num_retried, report, should_stop
            )
        return [dataset.manifest() for dataset in self.datasets]

    def bottleneck(self) -> str:
        """Returns what was the bottleneck of the finished job, and what to change; "" if nothing stands out."""
        reports = (read_report(dataset.directory.folder) for dataset in self._open)
        verdicts = [report.verdict for report in reports if report]
        return next((verdict.sentence for verdict in verdicts if verdict.is_significant), "")

    def start(self) -> "RunningJob":
        """Starts the job and returns, at once or when its engine has accepted it; `run` also waits for its end."""
        from lit_precompute.pipelines.embed import graph
        from lit_precompute.pipelines.embed.planning.look import store_listing
        from lit_precompute.pipelines.engines import runners, submission
        from lit_precompute.pipelines.engines.notebooks import as_in_a_script

        for dataset in self._open:
            dataset.begin(self.plan)
        first, *others = self._open
        launch = LaunchOptions(
            embed=first.options,
            others=tuple(dataset.options for dataset in others),
            source=self._source.source,
            name=uuid.uuid4().hex,
            files=self._source.versions,
        )
        pipeline = runners.new_pipeline(self._beam_flags)
        with as_in_a_script():
            if self.plan is not None:
                finished = [dataset.finished for dataset in self._open]
                graph.build_planned(pipeline, launch, len(self.plan.units), finished)
            else:
                listing = store_listing(first.directory.folder, self._source.files)
                graph.build(pipeline, launch, listing, len(self._source.files))
        # First noted before it can end: the last step removes the notes.
        note = {"runner": runners.runner_name(self._beam_flags), "began": time.time()}
        for dataset in self._open:
            dataset.note_launch(launch.name, note)
        job = submission.start(pipeline, self._beam_flags)
        if not self.embeds_here:
            for dataset in self._open:
                dataset.note_launch(launch.name, {**note, **submission.record(job)})
        return job
