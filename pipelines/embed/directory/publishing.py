"""The end of a job: its report and the manifest of its shards."""

from collections.abc import Iterable, Mapping
from typing import Any

from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.job import BLOCK_ROWS, Job
from lit_precompute.pipelines.embed.reporting.job_report import write_report
from lit_precompute.pipelines.embed.reporting.sums import make_report
from lit_precompute.schemas import Manifest, ShardInfo, TableSchema, publish_manifest
from lit_precompute.schemas.dataset_files import shard_file_name
from lit_precompute.schemas.probes import number_in_dataset
from lit_precompute.schemas.storage import Folder


def publish_shards(
    folder: Folder, job: Job, markers: Iterable[ShardMarker], launches: Mapping[str, Mapping[str, Any]]
) -> Manifest:
    """Writes a job's report and the manifest of its shards.

    Args:
      folder: the output.
      job: what was embedded.
      markers: of all shards.
      launches: what each launch has noted, by name.

    Raises:
      DatasetError: files differ from their markers.
    """
    ordered = sorted(markers, key=lambda marker: marker.info.shard)
    assert len(ordered) == len(job.plan.units), "the caller looks for missing shards, and names them"
    _remove_strays(folder, job.tables(), [marker.info for marker in ordered])
    write_report(folder, make_report(ordered, launches))
    return publish_manifest(
        folder,
        shards=[marker.info for marker in ordered],
        tables=job.tables(),
        towers=job.towers(),
        source=job.plan.source,
        probes=number_in_dataset((marker.info, marker.probes) for marker in ordered),
        notes=job.plan.notes,
        job=job.recorded(),
        block_rows=BLOCK_ROWS,
    )


def _remove_strays(folder: Folder, tables: Iterable[TableSchema], shards: Iterable[ShardInfo]) -> None:
    """Removes what other attempts have left: one that found failures, in a shard which now has none."""
    own = {shard_file_name(name, info.shard, file.num_blocks) for info in shards for name, file in info.files.items()}
    found = (f"{table.name}/{name}" for table in tables for name in folder.find(table.name))
    folder.remove(*(name for name in found if name not in own))
