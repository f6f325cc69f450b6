"""One dataset of a launch: what one tower makes of the source, and how much of it earlier launches have made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.found_source import check_source
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.reporting.progress import count_rows
from lit_precompute.pipelines.embed.retry import Retry, find_retry, forget_failures
from lit_precompute.schemas import Manifest, TowerCard
from lit_precompute.schemas.writing.publishing import check_files


class LaunchedDataset:
    """A dataset with its job, which another launch may have begun.

    Attributes:
      options: what to embed.
      directory: its output.
      is_finished: whether it is complete, and stays so.
      finished: units that this launch need not embed, if it is not.
      retry: what is embedded again because rows failed there, if that was asked for and there are any.
    """

    def __init__(self, options: EmbedOptions):
        """Checks what can be checked without the source and the tower.

        Raises:
          ClaimError: the output cannot be used, or belongs to another job.
        """
        self.options, self.directory = options, JobDirectory(options.output)
        self.is_finished, self.finished = False, set[int]()
        self.retry: Retry | None = None
        self._settled: tuple[TowerCard, int] | None = None
        self.directory.check_usable()
        if noted := self.directory.noted():
            self.directory.check({"options": {**noted["options"], **options.recorded()}})

    def prepare_here(self, plan: Plan, say: Callable[[str], None]) -> None:
        """Does in this process what the first worker would do: loads the tower, chooses the batch size.

        Raises:
          WeightsError, ValueError: weights or options cannot be used, or the output belongs to another job.
        """
        from lit_precompute.pipelines.embed.workers import preparing  # imports JAX

        check_source(self.directory, self.options, plan)
        tower, batch_size = preparing.prepare_here(self.options, self.directory, plan, say)
        self._settled = tower.card(), batch_size

    def claim(self, plan: Plan) -> None:
        """Makes the output belong to this job, whose tower and batch size are settled if they are known.

        Raises:
          ClaimError: it belongs to another job.
        """
        self.directory.claim(self.options, plan)
        if self._settled and not self.directory.is_published():
            card, batch_size = self._settled
            self.directory.settle_tower(card)
            if self.options.batch_size is None:
                self.directory.settle_batch_size(batch_size)

    def look_at_shards(self, plan: Plan | None, say: Callable[[str], None]) -> None:
        """Finds what earlier launches have finished; changes nothing of it.

        Raises:
          JobError: rows that failed cannot be attempted again.
        """
        is_published = self.directory.is_published()
        if is_published:
            self.directory.sweep()  # left over by a kill between publishing and sweeping
        elif forget_failures(self.directory):
            say("no row was embedded so far: starting again")
        if self.options.retry_failures:
            self.retry = find_retry(self.directory, self.options, plan, say)
        self.is_finished = is_published and self.retry is None
        if self.retry is not None:
            self.finished = set(self.retry.finished - self.retry.units)
        elif not is_published:
            self.finished = self.directory.markers.numbers()

    def begin(self, plan: Plan | None) -> None:
        """Makes units that are embedded again unfinished ones, and takes back a request to stop."""
        self.directory.take_back_stop()
        if self.retry is not None:
            self.retry.begin(self.directory, self.options, plan)

    def note_launch(self, name: str, record: Mapping[str, Any]) -> None:
        """Notes when a launch began, and how it can be found at its engine."""
        self.directory.note_launch(name, record)
        awaits_withdrawal = self.retry is not None and self.retry.is_of(self.directory)
        if self.directory.is_published() and not awaits_withdrawal:
            self.directory.sweep()  # published a moment ago: nothing may remain of an unfinished job

    def count_rows(self, plan: Plan | None) -> int:
        """Returns the rows of the units that earlier launches have finished, as far as they are known."""
        return count_rows(plan, self.finished)

    def num_embedded(self, manifest: Manifest) -> int:
        """Returns how many rows this launch has embedded or found to fail, once the dataset is published."""
        if self.is_finished:
            return 0
        rows_read = manifest.shards.rows_read
        return int(rows_read.sum()) - int(rows_read[sorted(self.finished)].sum())

    def manifest(self) -> Manifest:
        """Returns the manifest of the complete dataset.

        Raises:
          DatasetError: files are missing or were changed.
          EmbedError: it is not complete.
        """
        if not self.directory.is_published():
            raise EmbedError(
                f"{self.options.output}: the job ended before the dataset was published; run the same command again "
                "to resume"
            )
        manifest = Manifest.read(self.options.output)
        check_files(self.directory.folder, manifest.shards, manifest.tables, manifest.references)
        return manifest


def leading(datasets: list[LaunchedDataset]) -> LaunchedDataset:
    """Returns the dataset whose job says where the source was first: one with a plan, or a finished one, if any."""
    with_plan = (dataset for dataset in datasets if dataset.directory.plan())
    finished = (dataset for dataset in datasets if dataset.directory.is_published())
    return next(with_plan, None) or next(finished, datasets[0])


def find_published(options: Sequence[EmbedOptions]) -> set[str]:
    """Returns the outputs whose dataset is complete."""
    return {each.output for each in options if JobDirectory(each.output).is_published()}
