"""Probing a dataset: some of its images are embedded again with the tower that it is said to be of, and compared.

Promises: rows are paired by key; the dataset is not changed. What is written, if asked for, is a derived dataset whose
card is of the tower that was run here; its `job` says what was compared, and how well it agreed.

The images are the first of the source: give other files of it to probe other rows.
"""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress
from lit_precompute.pipelines.probe.options import ProbeOptions
from lit_precompute.precompute.deriving.base import refer
from lit_precompute.precompute.deriving.output import DERIVE, Output
from lit_precompute.schemas import EmbeddingDataset, Manifest, TowerCard, publish_manifest
from lit_precompute.schemas.claims import refuse_unwritable
from lit_precompute.schemas.dataset_files import dataset_folder, read_attachments
from lit_precompute.schemas.sharing.comparing import Comparison, compare_datasets
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError, absolute, open_folder
from lit_precompute.schemas.tables import EMBEDDINGS

# Of the manifest's `job`: what was embedded again, and how it compared.
PROBED = "probed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probed:
    """What came of it.

    Attributes:
      comparison: of the dataset with its images embedded again.
      tower: the card of the tower that was run.
    """

    comparison: Comparison
    tower: TowerCard


def probe(
    dataset: EmbeddingDataset,
    options: ProbeOptions,
    *,
    on_fetch: Callable[[str, int, int], None] | None = None,
    report: Callable[[EmbedProgress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda words: None,
) -> Probed:
    """Embeds some of a dataset's images again, and compares.

    Args:
      dataset: opened with the table of embeddings that is meant.
      options: what to embed again.
      on_fetch: as `Launch`'s.
      report: called about twice a second.
      say: called with a line for each choice made on the user's behalf.

    Raises:
      ValueError, OSError: the dataset, source, tower, weights or options cannot be used.
      EmbedError: no image could be embedded.
    """
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        output = os.path.join(folder, "embedded")  # noqa: PTH118 -- a path as users give them
        manifest = Launch(options.embed(output), on_fetch=on_fetch, say=say).run(report)
        with EmbeddingDataset.open(output, tables=[EMBEDDINGS]) as embedded:
            comparison = compare_datasets(dataset, embedded, max_rows=options.rows)
    return Probed(comparison=comparison, tower=manifest.tower)


def check_output(dataset: EmbeddingDataset, output: str) -> None:
    """Checks, before anything is embedded, whether `write_verified` may write there.

    Raises:
      DatasetError: it has a finished dataset that is not of an earlier probe of this one.
      ClaimError: it cannot be written to.
    """
    folder = open_folder(absolute(output))
    if not folder.exists(MANIFEST_NAME):
        refuse_unwritable(folder, "choose another --output")
        return
    derived = Manifest.read(folder).job.get(DERIVE)
    if not isinstance(derived, dict) or PROBED not in derived or derived.get("base") != dataset.manifest.digest:
        raise DatasetError(
            f"{folder.path}: contains a finished dataset, and datasets never change; choose another --output"
        )


def write_verified(dataset: EmbeddingDataset, probed: Probed, options: ProbeOptions, output: str) -> Manifest:
    """Writes a derived dataset with the card of the tower that was run; every table is referred to.

    Raises:
      DatasetError: the embeddings did not agree, or the output holds something else.
    """
    comparison, base = probed.comparison, dataset.manifest
    if comparison.verdict not in ("equal", "interchangeable"):
        raise DatasetError(f"{dataset.path}: its embeddings are not those of {probed.tower.name}: {comparison.verdict}")
    out, source = Output(absolute(output)), dataset_folder(dataset.path)
    description = {"base": base.digest, PROBED: _record(probed, options, dataset.embeddings)}
    if (finished := out.finished(description)) is not None:
        return finished
    with out.claimed(description):
        tables, references = refer(out.folder, source, base, [])
        manifest = publish_manifest(
            out.folder,
            shards=base.shards,
            tables=tables,
            towers={**base.towers, dataset.embeddings: probed.tower},
            source=base.source.info(),
            # Probes are what a tower gave, to the bit. Of a declared one only what was stored is known.
            probes=[] if base.towers[dataset.embeddings].is_declared else base.probes,
            job={DERIVE: description, "base_job": dict(base.job)},
            block_rows=base.block_rows,
            order=base.order,
            attachments=read_attachments(source, base.attachments),
            references=references,
        )
    out.release()
    return manifest


def _record(probed: Probed, options: ProbeOptions, table: str) -> Mapping[str, Any]:
    found = probed.comparison.similarity
    assert found is not None
    return {
        "table": table,
        "source": options.source.path,
        "tower": probed.tower.fingerprint,
        "rows": found.num_rows,
        "mean_cosine": round(found.mean_cosine, 9),
        "least_cosine": round(found.least_cosine, 9),
    }
