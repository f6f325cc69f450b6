"""The sample, embedded with each tower, and how fast that went.

Promises: each tower is a job of its own, so that its rate is its own; what was embedded or measured before is not
repeated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.storage import Folder, open_folder

RATES_NAME = "rates.json"


class Speed(NamedTuple):
    """How fast a tower is on this machine, in images per second.

    Attributes:
      tower_rate: of the tower alone: the fastest of some batches.
      decoding_rate: of what reads and decodes, in the job that embedded the sample; None if not known.
      job_rate: of that job, from its first batch on; None if it was too short to tell.
      device: kind of the devices.
      num_devices: how many.
      num_cores: of the machine.
    """

    tower_rate: float
    decoding_rate: float | None
    job_rate: float | None
    device: str
    num_devices: int
    num_cores: int

    @property
    def rate(self) -> float:
        """Images per second of a job: as it ran, or what the slower part allows."""
        return self.job_rate or min(self.tower_rate, self.decoding_rate or self.tower_rate)

    @property
    def limit(self) -> str:
        """What limits a job; "" if not known."""
        if self.decoding_rate is None:
            return ""
        return "decoding" if self.decoding_rate < self.tower_rate else "the tower"


class Embedded(NamedTuple):
    """The sample, embedded with one tower.

    Attributes:
      options: of the job.
      name: of its folder.
      manifest: of the dataset.
      speed: how fast that went.
      was_there: whether an earlier call has embedded it.
    """

    options: EmbedOptions
    name: str
    manifest: Manifest
    speed: Speed
    was_there: bool


def embed_sample(
    job: EmbedOptions,
    rates: Folder,
    *,
    report: Callable[[EmbedProgress], None],
    should_stop: Callable[[], bool],
    on_fetch: Callable[[str, int, int], None] | None = None,
    on_look: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda words: None,
) -> Embedded:
    """Embeds the sample with one tower, as far as that was not done before, and measures the tower.

    Args:
      job: what to embed.
      rates: where measurements are kept.
      report: as `Launch.run`.
      should_stop: as `Launch.run`.
      on_fetch: as `Launch`.
      on_look: as `Launch`.
      say: as `Launch`.

    Raises:
      ValueError, OSError, EmbedError, EmbedStopped: as `Launch`.
    """
    launch = Launch(job, on_fetch=on_fetch, on_look=on_look, say=say)
    was_there, job_rate = launch.is_finished, None

    def watch(progress: EmbedProgress) -> None:
        nonlocal job_rate
        job_rate = progress.rows_per_second or job_rate
        report(progress)

    manifest = launch.run(watch, should_stop)
    folder = open_folder(launch.datasets[0].options.output)
    name = folder.path.rpartition("/")[2]
    measured = _measured(job, name, manifest, job_rate, rates)
    return Embedded(job, name, manifest, Speed(**measured, decoding_rate=_decoding_rate(folder)), was_there)


def _measured(
    job: EmbedOptions, name: str, manifest: Manifest, job_rate: float | None, rates: Folder
) -> dict[str, Any]:
    """Returns what is known of a tower's speed, and keeps it."""
    known, fingerprint = _known(rates), manifest.tower.fingerprint
    found = known.get(name, {})
    if found.pop("fingerprint", None) != fingerprint:
        found = {**_measure(job, manifest), "job_rate": None}
    found["job_rate"] = job_rate or found["job_rate"]
    content = {**known, name: {"fingerprint": fingerprint, **found}}
    rates.write(RATES_NAME, (json.dumps(content, indent=1) + "\n").encode())
    return found


def _decoding_rate(dataset: Folder) -> float | None:
    """Returns images per second of all decoders of the job that made a dataset, had they always had work."""
    report = read_report(dataset)
    if report is None or not report.machines:
        return None
    seconds = report.seconds.reading_images + report.seconds.decoding
    decoders = report.machines[0].decode_workers
    return decoders * sum(machine.num_rows for machine in report.machines) / seconds if seconds else None


def _measure(job: EmbedOptions, manifest: Manifest) -> dict[str, Any]:
    """Returns how fast the tower alone is here, with the job's batch size."""
    import os

    from lit_precompute.pipelines.embed.workers.process_registry import PROCESS  # imports JAX
    from lit_precompute.pipelines.estimates.timing import tower_rate
    from lit_precompute.precompute.batch_size import try_batch
    from lit_precompute.precompute.machine import device_kind, num_devices

    embedder = PROCESS.embedder(job.tower, manifest.job["batch_size"])
    try_batch(embedder)
    return {
        "tower_rate": tower_rate(embedder, time.perf_counter),
        "device": device_kind(),
        "num_devices": num_devices(),
        "num_cores": os.cpu_count() or 1,
    }


def _known(rates: Folder) -> dict[str, Any]:
    try:
        found = json.loads(rates.read(RATES_NAME))
    except (FileNotFoundError, ValueError):
        return {}  # measuring again takes a few seconds
    return found if isinstance(found, dict) else {}


def rows_read(samples: Sequence[Embedded]) -> int:
    """Returns how many rows of the source the sample has."""
    return max(each.manifest.num_rows + each.manifest.num_failures for each in samples)
