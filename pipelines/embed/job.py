"""An embedding job: what it is, and the output directory in which it can stop and go on at any moment.

    _work/job.json            what is embedded, how; written first
    _work/shards/00003.json   a finished shard; written after its files, by rename
    _work/temporary/          files of attempts under way
    manifest.json             written last; `_work` is removed after it

Promises: a directory belongs to one job; another tower, source or option is refused with both values named.
"""

import dataclasses
import json
import pathlib
import shutil
import uuid
from typing import Any

from lit_precompute.schemas import (
    DatasetError,
    Manifest,
    Probe,
    ShardInfo,
    SourceInfo,
    TableSchema,
    TowerCard,
    VectorType,
    embeddings_table,
    failures_table,
    publish_manifest,
)
from lit_precompute.schemas.claims import differences
from lit_precompute.schemas.manifest import FORMAT_VERSION
from lit_precompute.schemas.probes import number_in_dataset
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, write_text_atomically

BLOCK_ROWS = 1024


class JobError(ValueError):
    """A job that cannot run, or go on, as asked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardMarker:
    """A finished shard, its probes, and what failed in it: by reason the number of rows and the first row's key."""

    info: ShardInfo
    probes: list[Probe]
    reasons: dict[str, tuple[int, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A planned job: all that shapes the dataset's bytes; `source_tables` are those that the source has values for."""

    output: str
    tower: TowerCard
    source: SourceInfo
    num_rows: int
    num_units: int
    source_tables: tuple[TableSchema, ...]
    vector_type: VectorType
    batch_size: int
    rows_per_shard: int

    def tables(self) -> list[TableSchema]:
        """Returns the tables that each shard has."""
        return [embeddings_table(self.tower.output_width, self.vector_type), *self.source_tables, failures_table()]

    def options(self) -> dict[str, Any]:
        """Returns the options that the manifest keeps."""
        return {
            "producer": "lit-embed run",
            "rows_per_shard": self.rows_per_shard,
            "batch_size": self.batch_size,
            "vector_type": self.vector_type,
        }

    def specification(self) -> dict[str, Any]:
        """Returns what must be equal for a run to go on with what another began."""
        return {
            "format_version": FORMAT_VERSION,
            "tower": self.tower.model_dump(),
            "source": self.source.model_dump(),
            "options": self.options(),
        }


class JobDirectory:
    """The output directory of a job."""

    def __init__(self, output: str):
        """Takes the path; nothing is made yet."""
        self.path = pathlib.Path(output)
        self._work = self.path / WORK_FOLDER
        self._specification = self._work / "job.json"
        self._markers = self._work / "shards"

    def claim(self, job: Job) -> bool:
        """Makes the directory this job's; returns whether the job is finished already.

        Raises:
          JobError: it holds another job or dataset (each difference with both values), or other files.
        """
        if self.is_published():
            self._refuse_another(self._published(), job)
            self.sweep()  # left by a kill between publishing and cleaning
            return True
        if not self._specification.exists():
            self._begin(job)
        try:
            begun = self._begun()
        except FileNotFoundError as error:
            if self.is_published():  # by another launcher, just now
                return self.claim(job)
            raise JobError(f"{self._work}: is not a job's; remove it, or give an empty --output") from error
        self._refuse_another(begun, job)
        return False

    def noted_option(self, name: str) -> Any:
        """Returns an option of the job that the directory belongs to, finished or not; None where there is none."""
        try:
            found = self._published() if self.is_published() else self._begun()
        except FileNotFoundError:
            return None
        return found["options"].get(name)

    def _published(self) -> dict[str, Any]:
        """Returns the specification of the finished job."""
        manifest = Manifest.read(self.path)
        return {
            "format_version": FORMAT_VERSION,  # a finished dataset stays what it is, also of an older version
            "tower": manifest.tower.model_dump(),
            "source": manifest.source.model_dump(),
            "options": manifest.job,
        }

    def _begun(self) -> dict[str, Any]:
        """Returns the specification of the job under way."""
        return json.loads(self._specification.read_text(encoding="utf-8"))

    def _begin(self, job: Job) -> None:
        """Notes what the job is; of two launchers at once the first one's note stays."""
        names = [path.name for path in self.path.iterdir()] if self.path.exists() else []
        others = sorted(name for name in names if not name.startswith(WORK_FOLDER))
        if others and not self.is_published():
            raise JobError(f"{self.path}: holds other files ({', '.join(others[:3])}); give an empty --output")
        prepared = self.path / f"{WORK_FOLDER}.{uuid.uuid4().hex}"
        write_text_atomically(prepared / self._specification.name, json.dumps(job.specification(), indent=1) + "\n")
        try:
            prepared.rename(self._work)  # fails where a folder with files stands
        except OSError:
            shutil.rmtree(prepared, ignore_errors=True)

    def is_published(self) -> bool:
        """Returns whether the dataset is complete."""
        return (self.path / MANIFEST_NAME).exists()

    def sweep(self) -> None:
        """Removes what only an unfinished job needs. Another launcher may be writing there: it will sweep, too."""
        for folder in self.path.glob(f"{WORK_FOLDER}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def finished(self) -> dict[int, ShardMarker]:
        """Returns the finished shards by number."""
        markers: dict[int, ShardMarker] = {}
        for path in sorted(self._markers.glob("[0-9]*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            reasons = {reason: (count, key) for reason, (count, key) in content["reasons"].items()}
            info = ShardInfo.model_validate(content["info"])
            probes = [Probe.model_validate(probe) for probe in content["probes"]]
            markers[info.shard] = ShardMarker(info=info, probes=probes, reasons=reasons)
        return markers

    def mark_finished(self, marker: ShardMarker) -> None:
        """Notes a finished shard; its files are there already."""
        content = {
            "info": marker.info.model_dump(),
            "probes": [probe.model_dump() for probe in marker.probes],
            "reasons": marker.reasons,
        }
        write_text_atomically(self._markers / f"{marker.info.shard:05d}.json", json.dumps(content))

    def publish(self, job: Job) -> Manifest:
        """Writes the manifest over all finished shards and removes the work folder.

        Raises:
          DatasetError: a shard is missing or its files are not as noted.
        """
        if self.is_published():  # by another launcher
            self.sweep()
            return Manifest.read(self.path)
        markers = self.finished()
        if len(markers) != job.num_units:
            raise DatasetError(f"{self.path}: {job.num_units} shards are needed, {len(markers)} are finished")
        manifest = publish_manifest(
            self.path,
            shards=[marker.info for marker in markers.values()],
            tables=job.tables(),
            tower=job.tower,
            source=job.source,
            probes=number_in_dataset((marker.info, marker.probes) for marker in markers.values()),
            job=job.options(),
            block_rows=BLOCK_ROWS,
            libraries={"jax": "jax", "tensorflow": "tensorflow-cpu", "PIL": "pillow"},
        )
        self.sweep()
        return manifest

    def _refuse_another(self, found: dict[str, Any], job: Job) -> None:
        words = list(differences(found, job.specification()).values())
        if words:
            more = f"; and {len(words) - 8} more" if len(words) > 8 else ""
            raise JobError(
                f"{self.path}: holds another job: {'; '.join(words[:8])}{more}. Give these values again to go on with "
                "it, or another --output"
            )
