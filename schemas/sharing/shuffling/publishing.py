"""Publishing a shuffled dataset: cards, source, notes, attachments and probes are the dataset's, in the new order."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lit_precompute.schemas.dataset_files import dataset_folder, read_attachments
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Probe, ShardInfo
from lit_precompute.schemas.sharing.shuffling.plan import ShufflePlan
from lit_precompute.schemas.storage import Folder
from lit_precompute.schemas.writing.publishing import publish_manifest

SHUFFLED = "shuffled"  # in the manifest's `job`, beside what the dataset's own producer has noted


def publish_shuffled(
    folder: Folder, plan: ShufflePlan, path: str, shards: Iterable[ShardInfo], described: Mapping[str, Any]
) -> Manifest:
    """Writes the manifest over finished shards, and returns it as it is read back.

    Args:
      folder: the new dataset.
      plan: the plan.
      path: of the dataset that was shuffled.
      shards: all new shards.
      described: what was shuffled, and how, as JSON.
    """
    manifest, old = plan.manifest, dataset_folder(path)
    return publish_manifest(
        folder,
        shards=shards,
        tables=plan.tables,
        towers=manifest.towers,
        source=manifest.source.info(),
        probes=probes_of(plan),
        # Of rows that are in other shards now: they are the dataset's.
        notes=manifest.notes,
        job={**manifest.job, SHUFFLED: dict(described)},
        block_rows=manifest.block_rows,
        order="shuffled",
        attachments=read_attachments(old, manifest.attachments),
    )


def probes_of(plan: ShufflePlan) -> list[Probe]:
    """Returns the probes with their new row numbers, ascending; none of format version 1, which have no float32."""
    probes = plan.manifest.probes if plan.manifest.format_version > 1 else ()
    places = plan.places(np.array([probe.row for probe in probes], np.int64)).tolist()
    moved = [probe.model_copy(update={"row": place}) for probe, place in zip(probes, places, strict=True)]
    return sorted(moved, key=lambda probe: probe.row)
