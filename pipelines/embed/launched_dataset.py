"""One dataset of a launch: what one tower makes of the source, and how much of it earlier launches have made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.embed.errors import EmbedError
from lit_precompute.pipelines.embed.found_source import check_source
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.plan import Plan
from lit_precompute.pipelines.embed.progress import count_rows
from lit_precompute.schemas import Manifest, TowerCard
from lit_precompute.schemas.writing.publishing import check_files


class LaunchedDataset:
    """A dataset with its job, which another launch may have begun.

    Attributes:
      options: what to embed.
      directory: its output.
      is_finished: whether it is complete.
      finished: units that have a marker.
    """

    def __init__(self, options: EmbedOptions):
        """Checks what can be checked without the source and the tower.

        Raises:
          ClaimError: the output cannot be used, or belongs to another job.
        """
        self.options, self.directory = options, JobDirectory(options.output)
        self.is_finished, self.finished = False, set[int]()
        self._settled: tuple[TowerCard, int] | None = None
        self.directory.check_usable()
        if noted := self.directory.noted():
            self.directory.check({"options": {**noted["options"], **options.recorded()}})

    def prepare_here(self, plan: Plan, say: Callable[[str], None]) -> None:
        """Does in this process what the first worker would do: loads the tower, chooses the batch size.

        Raises:
          WeightsError, ValueError: weights or options cannot be used, or the output belongs to another job.
        """
        from lit_precompute.pipelines.embed import preparing  # imports JAX

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

    def look_at_shards(self, say: Callable[[str], None]) -> None:
        """Finds what earlier launches have finished."""
        self.is_finished = self.directory.is_published()
        if self.is_finished:
            self.directory.sweep()  # left over by a kill between publishing and sweeping
            return
        if self._forget_failures():
            say("no row was embedded so far: starting again")
        self.finished = self.directory.markers.numbers()

    def _forget_failures(self) -> bool:
        """Forgets the finished shards if none of them holds a row; returns whether it did.

        What made every row fail, such as a folder that was not mounted, may have been mended since.
        """
        finished = self.directory.markers.numbers()
        markers = map(self.directory.markers.read, sorted(finished))
        if not finished or any(marker and marker.info.num_rows for marker in markers):
            return False
        self.directory.markers.remove(finished)
        return True

    def note_launch(self, name: str, record: Mapping[str, Any]) -> None:
        """Notes when a launch began, and how it can be found at its engine."""
        self.directory.note_launch(name, record)
        if self.directory.is_published():  # a moment ago: nothing may remain of an unfinished job
            self.directory.sweep()

    def count_rows(self, plan: Plan | None) -> int:
        """Returns the rows of the units that earlier launches have finished, as far as they are known."""
        return count_rows(plan, self.finished)

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


def find_published(options: Sequence[EmbedOptions]) -> list[bool]:
    """Returns for each output whether its dataset is complete."""
    return [JobDirectory(each.output).is_published() for each in options]
