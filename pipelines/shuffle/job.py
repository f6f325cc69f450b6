"""Shuffling as a job in two phases.

    _work/job.json          what is shuffled, and how; created once: from then on the output belongs to this job
    _work/scatter/00003     the rows of some old shards, sorted by where they go
    _work/gather/00005      a new shard as the manifest will describe it; written after its files
    manifest.json           written last; then `_work` is removed

Rows pass through files because these can be resumed from, and bound the memory of every engine: each new shard reads
one part of every scattered file. A shuffle of Beam's would keep all rows in memory on some runners, and begin again
after a kill.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from lit_precompute.pipelines.phases.job import Phase
from lit_precompute.pipelines.phases.output import JobOutput
from lit_precompute.pipelines.shuffle.options import ShuffleOptions
from lit_precompute.schemas import Manifest, ShardInfo
from lit_precompute.schemas.sharing.shuffling.gathering import gather
from lit_precompute.schemas.sharing.shuffling.plan import ShufflePlan
from lit_precompute.schemas.sharing.shuffling.publishing import SHUFFLED, publish_shuffled
from lit_precompute.schemas.sharing.shuffling.scattering import ShardReader, scatter
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError, Folder, unique_name

SCATTER, GATHER = "scatter", "gather"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShuffleJob:
    """A planned shuffle; see `PhasedJob`. Workers read the manifest themselves."""

    options: ShuffleOptions
    digest: str
    unit_rows: tuple[int, ...]
    shard_rows: tuple[int, ...]

    @classmethod
    def of(cls, options: ShuffleOptions, plan: ShufflePlan) -> "ShuffleJob":
        """Returns the job."""
        num_rows = plan.manifest.shards.num_rows
        return cls(
            options=options,
            digest=plan.manifest.digest,
            unit_rows=tuple(int(num_rows[unit.start : unit.stop].sum()) for unit in plan.units()),
            shard_rows=tuple(plan.shard_rows(shard) for shard in range(plan.num_shards)),
        )

    @property
    def output(self) -> JobOutput:
        """The new dataset."""
        flags = {"digest": "DATASET's digest", "seed": "--seed", "rows_per_shard": "--rows-per-shard"}
        return JobOutput(path=self.options.output, note="job.json", kind="job", key=SHUFFLED, flags=flags)

    @property
    def work(self) -> Folder:
        """Where pieces leave their files."""
        return self.output.work

    @property
    def phases(self) -> Sequence[Phase]:
        """Scattering, then gathering."""
        return [Phase(SCATTER, self.unit_rows), Phase(GATHER, self.shard_rows)]

    def worker(self) -> "ShuffleWorker":
        """Returns what scatters and gathers in this process."""
        return ShuffleWorker(self)

    def described(self) -> dict[str, Any]:
        """Returns what determines the result, as JSON."""
        return {
            "digest": self.digest,
            "seed": self.options.seed,
            "rows_per_shard": self.options.rows_per_shard,
        }

    def claim(self) -> None:
        """See `JobOutput`."""
        self.output.claim(self.described())

    def publish(self, plan: ShufflePlan) -> Manifest:
        """Writes the manifest, and removes what only an unfinished job needs."""
        names = [Phase(GATHER, ()).file_name(shard) for shard in range(len(self.shard_rows))]
        shards = (ShardInfo.model_validate_json(self.work.read(name)) for name in names)
        manifest = publish_shuffled(self.output.folder, plan, self.options.dataset, shards, self.described())
        self.output.sweep()
        return manifest


def make_plan(options: ShuffleOptions, digest: str | None = None) -> ShufflePlan:
    """Returns the plan.

    Args:
      options: what to shuffle.
      digest: of the dataset, if a plan was made before.

    Raises:
      DatasetError: there is no such dataset, or it is another one.
      ValueError: the options cannot be used.
    """
    manifest = Manifest.read(options.dataset)
    if digest not in (None, manifest.digest):
        raise DatasetError(f"{options.dataset}: has been changed since the job began; run the command again")
    return ShufflePlan(manifest=manifest, seed=options.seed, rows_per_shard=options.rows_per_shard)


class ShuffleWorker:
    """Scatters and gathers in one process."""

    def __init__(self, job: ShuffleJob):
        """Takes the job; reads nothing before the first piece."""
        self._job = job
        self._plan: ShufflePlan | None = None

    def do(self, phase: str, piece: int, tell: Callable[[int], None]) -> None:
        """Scatters some old shards, or gathers a new one."""
        if self._plan is None:
            self._plan = make_plan(self._job.options, self._job.digest)
        do = self._scatter if phase == SCATTER else self._gather
        do(self._plan, piece, tell)
        if self._job.output.folder.exists(MANIFEST_NAME):  # by a faster worker: nothing may remain of an unfinished job
            self._job.output.sweep()

    def close(self) -> None:
        """Does nothing: no file stays open."""

    def _scatter(self, plan: ShufflePlan, unit: int, tell: Callable[[int], None]) -> None:
        path = self._job.output.folder.scratch() / unique_name(f"{SCATTER}-{unit:05d}")
        try:
            with contextlib.closing(ShardReader(self._job.options.dataset, plan)) as reader, path.open("wb") as file:
                for part in scatter(reader, plan, plan.units()[unit], tell):
                    file.write(part)
            self._job.work.upload(path, Phase(SCATTER, ()).file_name(unit))
        finally:
            path.unlink(missing_ok=True)

    def _gather(self, plan: ShufflePlan, shard: int, tell: Callable[[int], None]) -> None:
        work = self._job.work
        scattered = [work.join(Phase(SCATTER, ()).file_name(unit)) for unit in range(len(self._job.unit_rows))]
        info = gather(self._job.output.folder, plan, shard, scattered)
        work.write(Phase(GATHER, ()).file_name(shard), info.model_dump_json().encode())
        tell(info.num_rows)
