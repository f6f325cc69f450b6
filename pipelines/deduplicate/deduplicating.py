"""Deduplicating: checks, the job, and the selection that it results in.

Promises: the selection's bytes are the same whether the job runs here, on any engine, or in several launches; it is
written after everything else.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lit_precompute.pipelines.deduplicate.job import COMPARE, DeduplicateJob, table_of
from lit_precompute.pipelines.deduplicate.options import DeduplicateOptions
from lit_precompute.pipelines.phases.job import Phase, Report
from lit_precompute.pipelines.phases.running import run
from lit_precompute.schemas import Manifest, TowerCard
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDINGS


def deduplicate(
    options: DeduplicateOptions,
    *,
    beam_flags: Sequence[str] = (),
    report: Report = lambda progress: None,
    say: Callable[[str], None] = lambda words: None,
) -> Selection:
    """Compares, writes and returns the selection of the rows that stay; its `made_by` has the counts.

    Args:
      options: what to compare.
      beam_flags: Beam's pipeline options; without any the job runs in this process, and needs no Beam.
      report: called as the work goes on.
      say: called with a line for each way in which the datasets' images were prepared differently.

    Raises:
      DatasetError: a dataset cannot be read, has no rows, or is of another tower.
      ClaimError: a job with other options has begun to write there.
      ValueError: another selection is there, or the flags cannot be used.
      PhasedJobError: a worker failed; what is finished is kept.
    """
    options = options.with_absolute_paths()
    manifests = [_manifest(options.dataset, options.table), *(_manifest(path) for path in options.against)]
    tower = manifests[0].towers[options.table]
    for path, manifest in zip(options.against, manifests[1:], strict=True):
        theirs = manifest.towers[table_of(manifest, options.table)]
        for difference in check_same_tower(options.dataset, tower, path, theirs):
            say(difference)
    job = DeduplicateJob.plan(options, manifests)
    if (found := job.found_before()) is not None:
        job.sweep()
        return found
    places: dict[str, str | None] = {"DATASET": options.dataset, "--output": options.output}
    run(job, beam_flags, {**places, **{f"--against {path}": path for path in options.against}}, report)
    selection = _result(job, manifests)
    selection.save(options.output)
    written = Selection.open(options.output)
    job.sweep()
    return written


def check_same_tower(path: str, tower: TowerCard, other_path: str, theirs: TowerCard) -> Iterator[str]:
    """Yields how the images of two datasets of one network were prepared differently, in words.

    Raises:
      DatasetError: they are of different networks, or it is not known that they are of the same.
    """
    if tower.fingerprint == theirs.fingerprint:
        return
    advice = f"embed the images of {other_path} with the tower of {path}"
    if declared := next((at for at, card in ((path, tower), (other_path, theirs)) if card.is_declared), None):
        raise DatasetError(
            f"{declared}: its tower is declared, not verified, so nothing says that {other_path} is of the same as "
            f"{path}; verify it with lit-data probe {shlex.quote(declared)} --source IMAGES --tower TOWER --output "
            "VERIFIED, and give VERIFIED instead"
        )
    if tower.model_identity is None or theirs.model_identity is None:
        raise DatasetError(
            f"{other_path}: its tower has the fingerprint {theirs.fingerprint} ('{theirs.name}'), that of {path} has "
            f"{tower.fingerprint} ('{tower.name}'), and a card does not describe the network; {advice}"
        )
    if tower.model_identity != theirs.model_identity:
        differences = tower.identity_differences(theirs).items()
        words = "; ".join(f"{name} is {own!r} in {path}, {its!r} in {other_path}" for name, (own, its) in differences)
        raise DatasetError(f"{other_path}: cosines between different towers mean nothing: {words}; {advice}")
    for name, (own, its) in tower.preprocessing_differences(theirs).items():
        yield f"{name} is {own!r} in {path}, {its!r} in {other_path}: copies have cosines below 1"


def _manifest(path: str, table: str = EMBEDDINGS) -> Manifest:
    manifest = Manifest.read(path)
    if table not in manifest.towers:
        raise DatasetError(f"{path}: has no table of embeddings '{table}'; it has {', '.join(sorted(manifest.towers))}")
    if not manifest.num_rows:
        raise DatasetError(f"{path}: has no rows to compare")
    return manifest


def _result(job: DeduplicateJob, manifests: Sequence[Manifest]) -> Selection:
    """Returns the selection of the rows that stay."""
    from lit_precompute.precompute.duplicates.findings import SlabFindings
    from lit_precompute.precompute.duplicates.resolving import resolve

    phase, (dataset, *others) = Phase(COMPARE, job.sizes), manifests
    parts = (SlabFindings.from_bytes(job.work.read(phase.file_name(slab))) for slab in range(len(job.sizes)))
    found = resolve(dataset.num_rows, [other.num_rows for other in others], parts)
    threshold = job.options.threshold
    made_by: dict[str, Any] = {
        "command": "deduplicate",
        "path": job.options.dataset,
        "deduplicated": job.described(),
        "num_rows": dataset.num_rows,
        "num_removed": dataset.num_rows - int(found.stays.sum()),
        "num_zeros": found.num_zeros,
        "removed_against": found.removed_against,
        "against": [
            {
                "path": path,
                "num_rows": other.num_rows,
                "removed": counts.removed,
                "matched": counts.matched,
                **counts.nearest.described(threshold),
            }
            for path, other, counts in zip(job.options.against, others, found.against, strict=True)
        ],
        "within": found.within
        and {
            "removed": found.within.removed,
            "groups": found.within.num_groups,
            **found.within.nearest.described(threshold),
        },
    }
    return Selection.of_rows(dataset, found.stays, made_by=made_by)
