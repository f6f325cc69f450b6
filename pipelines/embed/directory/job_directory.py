"""The output of an embedding job, on disk or in a store, where it can be stopped at any moment and resumed.

    _work/units-HASH.jsonl.gz   what was found in the source, and the units; written before job.json
    _work/job.json              what is embedded, and how; created once: from then on the output belongs to this job
    _work/tower.json            the tower's card, created by the first process that has loaded it
    _work/batch-size.json       likewise, if none is given
    _work/attempts/00003-1      an attempt at a unit; written again now and then while it goes on
    _work/shards/00003.json     marks a finished shard, and says how the work went; written after the shard's files
    _work/launches/NAME.json    a launch: when it began, its engine, and how to find the job there
    _work/stop                  a request to stop, by `lit-embed cancel`
    job-report.json             how the job went, over all its launches; not part of the dataset
    manifest.json               written last; then `_work` is removed

Promises: an output belongs to one job; another tower, source or option is refused, with both values in the message.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lit_precompute.pipelines.embed.directory.job_note import (
    ADVICE,
    check_note,
    claim_of,
    with_views,
    without_batch_size,
)
from lit_precompute.pipelines.embed.directory.markers import Markers, ShardMarker
from lit_precompute.pipelines.embed.directory.publishing import publish_shards
from lit_precompute.pipelines.embed.job import Job, specification
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.plan import Plan, name_of
from lit_precompute.schemas import Manifest, SourceInfo, TowerCard
from lit_precompute.schemas.claims import ClaimError, refuse_unwritable
from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, open_folder
from lit_precompute.schemas.wording import is_full_disk

_LAUNCHES = f"{WORK_FOLDER}/launches"
_STOP = f"{WORK_FOLDER}/stop"
_TOWER, _BATCH_SIZE = f"{WORK_FOLDER}/tower.json", f"{WORK_FOLDER}/batch-size.json"


class JobDirectory:
    """The output of a job."""

    def __init__(self, output: str):
        """Takes the path or URL; creates nothing yet."""
        self.folder = open_folder(output)
        self.markers = Markers(self.folder)
        self._claim = claim_of(self.folder)
        # Like the specification of a finished job, it never changes while it is there.
        self._note: dict[str, Any] | None = None
        self._finished: dict[str, Any] | None = None

    def check_usable(self) -> None:
        """Checks what can be checked before anything is planned.

        Raises:
          ClaimError: it contains other files, or is no directory that can be written to.
        """
        if self.is_published():
            return
        refuse_unwritable(self.folder, ADVICE)
        self._claim.refuse_foreign_files()

    def check(self, part: Mapping[str, Any]) -> None:
        """Compares a part of a job's specification with the job that owns the directory, if there is one.

        Raises:
          ClaimError: it belongs to another job or dataset (each difference with both values).
        """
        if noted := self.noted():
            self._claim.refuse_another(with_views({name: noted.get(name) for name in part}), with_views(part))

    def claim(self, options: EmbedOptions, plan: Plan) -> None:
        """Stores a plan: the directory belongs to this job from now on.

        Raises:
          ClaimError: it belongs to another job or dataset (each difference with both values), contains other files, or
            no folder can be made there.
        """
        asked = specification(options, plan)
        if self.noted() is None:
            self._claim.refuse_foreign_files()
            try:
                self.note(asked, plan)
            except OSError as error:
                if is_full_disk(error):
                    raise
                # /proc and /sys, for example, say that they may be written to.
                raise ClaimError(f"{self.folder.path}: cannot be made ({error.strerror}); {ADVICE}") from error
        found = self.noted()
        assert found is not None, "a note is never removed before the dataset is published"
        there = {**found, "options": without_batch_size(found["options"], asked["options"])}
        self._claim.refuse_another(with_views(there), with_views({**found, **asked}))
        if (stored := self.plan()) is not None and stored.units != plan.units:
            raise ClaimError(
                f"{self.folder.path}: its units were cut in another way, by another version of this package; resume it "
                "alone (--tower, --output), or choose another --output"
            )

    def note(self, asked: Mapping[str, Any], plan: Plan) -> None:
        """Notes a job's specification and plan, unless a job is noted."""
        data = plan.to_bytes()
        note = {**asked, "plan": plan.describe(), "units": name_of(data)}
        self.folder.write(f"{WORK_FOLDER}/{note['units']}", data)
        self._claim.create(note)

    def noted(self) -> dict[str, Any] | None:
        """Returns the specification of the job that owns the directory, finished or not; None if no job does.

        Its `options` have the batch size once it is settled, and `tower` is there once a process has loaded it.
        """
        if self.is_published():
            self._finished = self._finished or self._published()
            return self._finished
        note = self._read_note()
        if note is None:
            return None
        noted: dict[str, Any] = {name: note.get(name) for name in ("format_version", "source", "options")}
        if batch_size := self._settled(_BATCH_SIZE):
            noted["options"] = {**noted["options"], **batch_size}
        if tower := self._settled(_TOWER):
            noted["tower"] = tower
        return noted

    def _read_note(self) -> dict[str, Any] | None:
        """Returns what is in job.json, which never changes."""
        if self._note is None:
            try:
                note = self._claim.read()
            except FileNotFoundError:
                return None
            check_note(self.folder.join(self._claim.note), note)
            self._note = note
        return self._note

    def plan(self) -> Plan | None:
        """Returns the plan of the unfinished job that owns the directory; None if there is none."""
        note = self._read_note()
        if note is None:
            return None
        try:
            data = self.folder.read(f"{WORK_FOLDER}/{note['units']}")
        except FileNotFoundError:
            if self.is_published():  # half swept, by a launcher that was killed or is at it
                return None
            raise
        return Plan.from_bytes(note["plan"], data)

    def settle_tower(self, card: TowerCard) -> None:
        """Makes this the job's tower, unless another process has settled one: then it must be the same.

        Raises:
          ClaimError: it is another one (each difference with both values).
        """
        found = self._settle(_TOWER, card.model_dump())
        self._claim.refuse_another({"tower": found}, {"tower": card.model_dump()})

    def settled_batch_size(self) -> int | None:
        """Returns the job's batch size, if it is settled."""
        found = (self.noted() or {}).get("options", {}).get("batch_size")
        return found if isinstance(found, int) else None

    def settle_batch_size(self, batch_size: int) -> int:
        """Makes this the job's batch size, unless another process has settled one; returns the job's."""
        return int(self._settle(_BATCH_SIZE, {"batch_size": batch_size})["batch_size"])

    def job(self, options: EmbedOptions, plan: Plan) -> Job:
        """Returns the job as it is settled, in a process that may never have loaded the tower."""
        tower, batch_size = self._settled(_TOWER), options.batch_size or self.settled_batch_size()
        assert tower is not None and batch_size is not None, "some unit was embedded"
        return Job(options=options, plan=plan, tower=TowerCard.model_validate(tower), batch_size=batch_size)

    def _settle(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        if found := self._settled(name):
            return found
        self.folder.create(name, json.dumps(value).encode())
        found = self._settled(name)
        assert found is not None, "was just created"
        return found

    def _settled(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads(self.folder.read(name))
        except FileNotFoundError:
            return None

    def _published(self) -> dict[str, Any]:
        """Returns the specification of the finished job."""
        manifest = Manifest.read(self.folder)
        source = manifest.source
        return {
            "format_version": FORMAT_VERSION,  # a finished dataset is accepted whatever its version
            "tower": manifest.tower.model_dump(),
            "source": {"kind": source.kind, "path": source.path, "options": dict(source.options)},
            "options": dict(manifest.job),
        }

    def first_source(self) -> SourceInfo | None:
        """Returns what the job that owns the directory found in its source, with its files; None if no job does."""
        if self.is_published():
            return Manifest.read(self.folder).source.info()
        plan = self.plan()
        return plan.source if plan else None

    def was_begun(self) -> bool:
        """Returns whether an unfinished job owns the directory, or a launch of one is planning it."""
        return self._read_note() is not None or bool(self.launches())

    def is_published(self) -> bool:
        """Returns whether the dataset is complete."""
        return self.folder.exists(MANIFEST_NAME)

    def sweep(self) -> None:
        """Removes what only an unfinished job needs. A launcher that still writes there will sweep as well."""
        self.folder.remove_folder(WORK_FOLDER)
        self._note = None
        self.folder.remove_unfinished()

    def note_launch(self, name: str, record: Mapping[str, Any]) -> None:
        """Notes when a launch began, and how it can be found at its engine."""
        self.folder.write(f"{_LAUNCHES}/{name}.json", json.dumps(record).encode())

    def launches(self) -> dict[str, dict[str, Any]]:
        """Returns what launches have noted, by their names, the earliest first."""
        names = [name.removesuffix(".json") for name in self.folder.find(_LAUNCHES)]
        found = {name: json.loads(self.folder.read(f"{_LAUNCHES}/{name}.json")) for name in sorted(names)}
        return dict(sorted(found.items(), key=lambda one: one[1].get("began", 0.0)))

    def request_stop(self) -> None:
        """Asks the job's workers, wherever they are, to stop after their current unit."""
        self.folder.write(_STOP, b"")

    def take_back_stop(self) -> None:
        """Takes back a request to stop."""
        self.folder.remove(_STOP)

    def is_stop_requested(self) -> bool:
        """Returns whether the job's workers were asked to stop."""
        return self.folder.exists(_STOP)

    def publish(self, job: Job, markers: Iterable[ShardMarker]) -> Manifest:
        """Writes the job's report and the manifest of its shards, and removes the work folder. No shard may be missing.

        Raises:
          DatasetError: files differ from their markers.
        """
        manifest = publish_shards(self.folder, job, markers, self.launches())
        self.sweep()
        return manifest
