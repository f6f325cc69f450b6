"""Taking a finished dataset back into the unfinished job that it came from, to embed some of its units again.

    _work/units-..., tower, batch size, markers of the shards that stay, job.json     restored from manifest and source
    manifest.json                                                                     removed
    then the job is resumed like any other

Promises: what is restored equals what the job had before it published, but for the markers of the units to embed; the
manifest is removed once all of it is there. So a kill before leaves the finished dataset, a kill after it an unfinished
job that the plain command resumes, and no shard changes while a manifest describes it.

Hashes of keys are not restored: the keys were compared when the dataset was published, and the source is the same.
"""

import concurrent.futures
from collections.abc import Iterator

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.job import Job, JobError
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.plan import Plan
from lit_precompute.pipelines.embed.workers.tally import Tally
from lit_precompute.schemas import Manifest, Probe, ShardInfo, failures_table
from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION
from lit_precompute.schemas.reading.table_reader import read_shard_table
from lit_precompute.schemas.storage import MANIFEST_NAME, Folder
from lit_precompute.schemas.writing.publishing import add_up, check_files

_READERS = 32


def published_markers(folder: Folder, manifest: Manifest) -> Iterator[ShardMarker]:
    """Yields the markers that the shards of a finished dataset had.

    Raises:
      JobError: it is not as a job publishes it: of an earlier version, or something was added.
      DatasetError: a table of failures cannot be read.
    """
    _check_own(folder, manifest)
    ends = manifest.shards.num_rows.cumsum().tolist()
    probes = iter(manifest.probes)
    probe = next(probes, None)

    def reasons_of(info: ShardInfo) -> dict[str, tuple[int, str]]:
        reasons = Tally()
        if info.num_failures:
            for row in read_shard_table(folder, failures_table(), info).to_pylist():
                reasons.add(row["reason"], row["key"])
        return dict(reasons)

    shards = list(manifest.shards)
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        for info, reasons in zip(shards, readers.map(reasons_of, shards), strict=True):
            end, own = ends[info.shard], list[Probe]()
            while probe is not None and probe.row < end:
                own.append(probe.model_copy(update={"row": probe.row - (end - info.num_rows)}))
                probe = next(probes, None)
            yield ShardMarker(info=info, probes=own, reasons=reasons)


def withdraw(directory: JobDirectory, options: EmbedOptions, plan: Plan) -> bool:
    """Makes a finished dataset an unfinished job again, if rows failed for reasons that may pass; returns whether.

    Args:
      directory: the output.
      options: of the job, checked to be the dataset's.
      plan: made again from the source.

    Raises:
      ClaimError: the plan or the options are not the dataset's.
      JobError: the dataset is not as this job would publish it, or another launch has replaced it a moment ago.
      DatasetError: a file of the dataset is missing, or of another size.
    """
    directory.claim(options, plan)
    manifest = Manifest.read(directory.folder)
    job = Job(options=options, plan=plan, tower=manifest.tower, batch_size=int(manifest.job["batch_size"]))
    _check_equal(directory.folder, manifest, job)
    check_files(directory.folder, manifest.shards, manifest.tables)
    markers = published_markers(directory.folder, manifest)
    directory.markers.write_many(marker for marker in markers if not marker.num_passing)
    if len(directory.markers.numbers()) == len(manifest.shards):
        directory.sweep()  # another launch was faster
        return False
    _restore(directory, manifest, plan)
    if Manifest.read(directory.folder) != manifest:
        raise JobError(f"{directory.folder.path}: another launch has just replaced the dataset; run the command again")
    directory.folder.remove(MANIFEST_NAME)
    _restore(directory, manifest, plan)  # a worker of long ago that ended a moment ago has swept it away
    return True


def _restore(directory: JobDirectory, manifest: Manifest, plan: Plan) -> None:
    """Writes what an unfinished job needs beside its markers, job.json last."""
    directory.settle_tower(manifest.tower)
    directory.settle_batch_size(int(manifest.job["batch_size"]))
    source = {"kind": plan.source.kind, "path": plan.source.path, "options": dict(plan.source.options)}
    directory.note({"format_version": FORMAT_VERSION, "source": source, "options": dict(manifest.job)}, plan)


def _check_own(folder: Folder, manifest: Manifest) -> None:
    """Raises JobError unless a manifest has nothing that a job does not publish."""
    advice = "embed the source again, to another --output"
    if manifest.format_version != FORMAT_VERSION:
        raise JobError(
            f"{folder.path}: is of format version {manifest.format_version}, whose shards have other names; {advice}"
        )
    more = {"attachments": manifest.attachments, "references": manifest.references}
    if added := [name for name, found in more.items() if found]:
        raise JobError(f"{folder.path}: has {' and '.join(added)}, which would be lost; {advice}")


def _check_equal(folder: Folder, manifest: Manifest, job: Job) -> None:
    """Raises JobError unless the job would publish a manifest like this one."""
    advice = "embed the source again, to another --output"
    own, found = [table.name for table in job.tables()], [table.name for table in manifest.tables]
    if list(manifest.tables) != job.tables():
        raise JobError(f"{folder.path}: has the tables {found}, and the job writes {own}; {advice}")
    if len(manifest.shards) != len(job.plan.units):
        counts = f"has {len(manifest.shards)} shards, and the source has {len(job.plan.units)} units"
        raise JobError(f"{folder.path}: {counts}; {advice}")
    if add_up([*job.plan.notes, *manifest.shards.all_notes()]) != list(manifest.notes):
        raise JobError(f"{folder.path}: the manifest's notes are not those of its shards and the source; {advice}")
