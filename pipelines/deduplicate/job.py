"""The comparison of a dataset, slab by slab, as a job in one phase.

OUTPUT.work/job.json         what is compared; created once: from then on the folder belongs to this job
OUTPUT.work/compare/00003    what was found for a slab
OUTPUT                       the selection, written last; then the folder is removed
"""

import contextlib
import dataclasses
import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lit_precompute.pipelines.deduplicate.options import DeduplicateOptions
from lit_precompute.pipelines.phases.job import Phase
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.claims import Claim
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import DatasetError, Folder, open_folder
from lit_precompute.schemas.tables import EMBEDDINGS

COMPARE = "compare"
_WORK = ".work"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeduplicateJob:
    """A planned comparison; see `PhasedJob`.

    Attributes:
      options: what to compare.
      digests: of the dataset and the evaluation datasets.
      slab_rows: rows of a slab.
      sizes: pairs that each slab's comparison covers.
    """

    options: DeduplicateOptions
    digests: tuple[str, ...]
    slab_rows: int
    sizes: tuple[int, ...]

    @classmethod
    def plan(cls, options: DeduplicateOptions, manifests: Sequence[Manifest]) -> "DeduplicateJob":
        """Returns the job; `manifests` are of the dataset and the evaluation datasets."""
        from lit_precompute.precompute.duplicates.comparing import count_pairs, slab_rows_of  # imports JAX

        dataset, *others = manifests
        slab_rows = options.slab_rows or slab_rows_of(dataset.towers[options.table].output_width)
        num_others = sum(other.num_rows for other in others)
        sizes = count_pairs(dataset.num_rows, num_others, slab_rows=slab_rows, within=options.within)
        return cls(
            options=options, digests=tuple(each.digest for each in manifests), slab_rows=slab_rows, sizes=tuple(sizes)
        )

    @property
    def work(self) -> Folder:
        """Where what was found is kept."""
        return open_folder(self.options.output + _WORK)

    @property
    def phases(self) -> Sequence[Phase]:
        """The only phase."""
        return [Phase(COMPARE, self.sizes)]

    def worker(self) -> "CompareWorker":
        """Returns what compares in this process."""
        return CompareWorker(self)

    def described(self) -> dict[str, Any]:
        """Returns what determines the result, as JSON."""
        dataset, *others = self.digests
        content = {name: getattr(self.options, name) for name in ("within", "threshold")}
        if self.options.table != EMBEDDINGS:  # absent by default, as before there was a choice
            content["table"] = self.options.table
        return {"dataset": dataset, "against": others, **content}

    def claim(self) -> None:
        """Makes the work folder belong to this job.

        Raises:
          ClaimError: it belongs to another job.
        """
        advice = "finish that job with its own options, remove the folder, or choose another --output"
        claim = Claim(
            folder=self.work,
            note="job.json",
            kind="deduplication",
            own_prefix=COMPARE,
            advice_foreign=advice,
            advice_another=advice[0].upper() + advice[1:],
            advice_damaged="remove the folder, and run the command again",
            flags={
                "dataset": "DATASET's digest",
                "against": "--against",
                "threshold": "--threshold",
                "table": "--table",
            },
        )
        asked = {**self.described(), "slab_rows": self.slab_rows}
        claim.refuse_foreign_files()
        claim.create(asked)
        claim.refuse_another(claim.read(), asked)

    def sweep(self) -> None:
        """Removes what only an unfinished job needs."""
        parent, name = posixpath.split(self.options.output)
        open_folder(parent).remove_folder(name + _WORK)

    @contextlib.contextmanager
    def comparer(self) -> Iterator[Any]:
        """Yields a `Comparer` of the datasets.

        Raises:
          DatasetError: one of them is not the one that was planned with.
        """
        from lit_precompute.precompute.duplicates.comparing import Comparer  # imports JAX

        options = self.options
        with contextlib.ExitStack() as stack:
            opened: list[EmbeddingDataset] = []
            for path, digest in zip((options.dataset, *options.against), self.digests, strict=True):
                table = table_of(Manifest.read(path), options.table)
                opened.append(stack.enter_context(EmbeddingDataset.open(path, tables=[table])))
                if opened[-1].manifest.digest != digest:
                    raise DatasetError(f"{path}: has been changed since the job began; run the command again")
            yield Comparer(
                opened[0],
                opened[1:],
                threshold=options.threshold,
                within=options.within,
                slab_rows=self.slab_rows,
            )

    def found_before(self) -> Selection | None:
        """Returns the selection that the job has written; None if there is none.

        Raises:
          ValueError: another selection is there.
        """
        output = self.options.output
        try:
            selection = Selection.open(output)
        except FileNotFoundError:
            return None
        if selection.made_by.get("deduplicated") != self.described():
            raise ValueError(f"{output}: is another selection; remove it, or choose another --output")
        return selection


def table_of(manifest: Manifest, table: str) -> str:
    """Returns which table of embeddings of a dataset is compared: that of this name, or else `embeddings`."""
    return table if table in manifest.towers else EMBEDDINGS


class CompareWorker:
    """Compares slabs in one process; keeps the datasets open, and rows that several slabs are compared with."""

    def __init__(self, job: DeduplicateJob):
        """Takes the job; opens nothing before the first slab."""
        self._job = job
        self._stack = contextlib.ExitStack()
        self._comparer: Any = None

    def do(self, phase: str, piece: int, tell: Callable[[int], None]) -> None:
        """Compares a slab, and stores what was found."""
        if self._comparer is None:
            self._comparer = self._stack.enter_context(self._job.comparer())
        found = self._comparer.compare(piece, tell)
        self._job.work.write(Phase(phase, ()).file_name(piece), found.to_bytes())

    def close(self) -> None:
        """Closes the datasets."""
        self._comparer = None
        self._stack.close()
