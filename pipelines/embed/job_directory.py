"""The output directory of an embedding job, in which it can be stopped at any moment and resumed.

    _work/job.json            what is embedded, and how; written first
    _work/shards/00003.json   marks a finished shard; written after the shard's files, by rename
    _work/temporary/          files of attempts in progress
    manifest.json             written last; then `_work` is removed

Promises: a directory belongs to one job; another tower, source or option is refused, with both values in the message.
"""

import contextlib
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job, ShardMarker
from lit_precompute.schemas import (
    DatasetError,
    Manifest,
    Note,
    Probe,
    ShardInfo,
    SourceInfo,
    publish_manifest,
)
from lit_precompute.schemas.claims import Claim, ClaimError, place_in_the_way
from lit_precompute.schemas.json_files import faults_of
from lit_precompute.schemas.manifest import FORMAT_VERSION
from lit_precompute.schemas.probes import number_in_dataset
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, write_text_atomically
from lit_precompute.schemas.wording import is_full_disk

# What users give the parts of a specification by.
_FLAGS = {
    "options.vector_type": "--dtype",
    **{f"options.{name.replace('-', '_')}": f"--{name}" for name in ("batch-size", "max-pixels", "rows-per-shard")},
    "source.options.format": "--source-format",
    "source.options.sample_name": "--sample-name",
    **{f"source.options.columns.{name}": f"--{name}-column" for name in ("image", "text", "texts", "label", "key")},
    "tower.name": "--tower",
    "tower.pooling": "--pooling",
}


class JobDirectory:
    """The output directory of a job."""

    def __init__(self, output: str):
        """Takes the path; creates nothing yet."""
        self.path = pathlib.Path(output)
        self._work = self.path / WORK_FOLDER
        self._claim = Claim(
            directory=self.path,
            note=self._work / "job.json",
            kind="job",
            own_prefix=WORK_FOLDER,
            advice_foreign="give an empty --output",
            advice_another="Give these values again to resume it, or choose another --output",
            advice_damaged="choose another --output",
            flags=_FLAGS,
        )
        self._markers = self._work / "shards"
        self._known_markers: dict[str, ShardMarker] = {}
        self._noted: dict[str, Any] | None = None

    def check_usable(self) -> None:
        """Checks what can be checked before anything is planned.

        Raises:
          ClaimError: it contains other files, or is no directory that can be written to.
        """
        if self.is_published():
            return
        if (place := place_in_the_way(self.path)) is not None:
            why = "may not be written to" if place.is_dir() else "is a file"
            raise ClaimError(f"{self.path}: {place} {why}; choose another --output")
        self._claim.refuse_foreign_files()

    def check(self, part: Mapping[str, Any]) -> None:
        """Compares a part of a job's specification with the job that owns the directory, if there is one.

        Raises:
          ClaimError: it belongs to another job or dataset (each difference with both values).
        """
        if noted := self.noted():
            self._claim.refuse_another({name: noted.get(name) for name in part}, part)

    def claim(self, job: Job) -> bool:
        """Claims the directory for this job; returns whether the job is already finished.

        Raises:
          ClaimError: it belongs to another job or dataset (each difference with both values), contains other files, or
            no folder can be made there.
        """
        if self.is_published():
            self._claim.refuse_another(self._published(), job.specification())
            self.sweep()  # left over by a kill between publishing and sweeping
            return True
        try:
            self._claim.make(job.specification())
        except ClaimError:
            if not self.is_published():
                raise
            return self.claim(job)  # another launcher has just published it
        except OSError as error:
            if is_full_disk(error):
                raise
            # /proc and /sys, for example, say that they may be written to.
            raise ClaimError(f"{self.path}: cannot be made ({error.strerror}); choose another --output") from error
        return False

    def noted(self) -> dict[str, Any] | None:
        """Returns the specification of the job that owns the directory, finished or not; None if no job does.

        An owner never changes, so that it is read once: the manifest of a large dataset takes a while.
        """
        if self._noted is None:
            with contextlib.suppress(FileNotFoundError):
                self._noted = self._published() if self.is_published() else self._read_note()
        return self._noted

    def _read_note(self) -> dict[str, Any]:
        noted = self._claim.read()
        _check_note(self._claim.note, noted)
        return noted

    def _published(self) -> dict[str, Any]:
        """Returns the specification of the finished job."""
        manifest = Manifest.read(self.path)
        return {
            "format_version": FORMAT_VERSION,  # a finished dataset is accepted whatever its version
            "tower": manifest.tower.model_dump(),
            "source": manifest.source.model_dump(),
            "options": manifest.job,
        }

    def is_published(self) -> bool:
        """Returns whether the dataset is complete."""
        return (self.path / MANIFEST_NAME).exists()

    def sweep(self) -> None:
        """Removes what only an unfinished job needs. A launcher that still writes there will sweep as well."""
        for folder in self.path.glob(f"{WORK_FOLDER}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def finished(self) -> dict[int, ShardMarker]:
        """Returns the finished shards by number. Markers never change, so that each is read once."""
        names = sorted(path.name for path in self._markers.glob("[0-9]*.json"))
        for name in names:
            if name not in self._known_markers:
                with contextlib.suppress(FileNotFoundError):  # another launcher has published the dataset and swept
                    self._known_markers[name] = read_marker(self._markers / name)
        found = (self._known_markers[name] for name in names if name in self._known_markers)
        return {marker.info.shard: marker for marker in found}

    def forget_failures(self) -> bool:
        """Forgets the finished shards if none of them holds a row; returns whether it did.

        What made every row fail, such as a folder that was not mounted, may have been mended since.
        """
        finished = self.finished()
        if not finished or any(marker.info.num_rows for marker in finished.values()):
            return False
        for shard in finished:
            self._marker_path(shard).unlink(missing_ok=True)
        self._known_markers.clear()
        return True

    def mark_finished(self, marker: ShardMarker) -> None:
        """Writes the marker of a shard whose files are complete."""
        content = {
            "info": marker.info.model_dump(),
            "probes": [probe.model_dump() for probe in marker.probes],
            "reasons": marker.reasons,
            "notes": [note.model_dump() for note in marker.notes],
        }
        write_text_atomically(self._marker_path(marker.info.shard), json.dumps(content))

    def _marker_path(self, shard: int) -> pathlib.Path:
        return self._markers / f"{shard:05d}.json"

    def publish(self, job: Job, finished: Mapping[int, ShardMarker]) -> Manifest:
        """Writes the manifest of the finished shards and removes the work folder.

        Raises:
          DatasetError: a shard is missing, or its files differ from its marker.
        """
        if self.is_published():  # by another launcher
            self.sweep()
            return Manifest.read(self.path)
        if len(finished) != job.num_units:
            raise DatasetError(f"{self.path}: {job.num_units} shards are needed, {len(finished)} are finished")
        manifest = publish_manifest(
            self.path,
            shards=[marker.info for marker in finished.values()],
            tables=job.tables(),
            tower=job.tower,
            source=job.source,
            probes=number_in_dataset((marker.info, marker.probes) for marker in finished.values()),
            notes=[*job.source_notes, *(note for _, marker in sorted(finished.items()) for note in marker.notes)],
            job=job.options(),
            block_rows=BLOCK_ROWS,
            libraries={"jax": "jax", "tensorflow": "tensorflow-cpu", "PIL": "pillow"},
        )
        self.sweep()
        return manifest


def _check_note(path: pathlib.Path, noted: Mapping[str, Any]) -> None:
    """Raises ClaimError unless a job's note has the parts that a resumed job reads."""
    advice = "choose another --output"
    for name in ("tower", "source", "options"):
        if not isinstance(noted.get(name), dict):
            raise ClaimError(f"{path}: {name} must be a JSON object, got {noted.get(name)!r:.80}; {advice}")
    if faults := faults_of(SourceInfo, noted["source"], "source"):
        raise ClaimError(f"{path}: {faults}; {advice}")


def read_marker(path: pathlib.Path) -> ShardMarker:
    """Returns the marker of a finished shard."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return ShardMarker(
        info=ShardInfo.model_validate(content["info"]),
        probes=[Probe.model_validate(probe) for probe in content["probes"]],
        reasons={reason: (count, key) for reason, (count, key) in content["reasons"].items()},
        notes=[Note.model_validate(note) for note in content["notes"]],
    )
