"""Records the work on one unit: its times, its metrics, and a sign of life now and then."""

import collections
import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence

from lit_precompute.pipelines.embed.directory.attempts import SIGN_EVERY_S
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.reporting import counters, metrics
from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitReport, UnitSeconds
from lit_precompute.pipelines.embed.reporting.worker import worker_name
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.pipelines.embed.workers.worker_dataset import WorkerDataset
from lit_precompute.precompute.embedding import where_to_decode
from lit_precompute.precompute.machine import num_devices
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.timing import EmbedTimes
from lit_precompute.precompute.tower_batches import EmbeddedBatch


class Recorder:
    """Records one pass over a unit, which begins with loading what it needs.

    Attributes:
      times: where the time goes; if several towers share the pass, that of all of them.
    """

    def __init__(self, launch: str, clock: Callable[[], float] = time.time):
        """Begins.

        Args:
          launch: name of the launch.
          clock: returns the seconds since 1970.
        """
        self._launch, self._clock = launch, clock
        self.times = EmbedTimes()
        self._began_s = self._last_sign_s = clock()
        self._metrics = metrics.UnitMetrics(self.times)
        self._num_rows: collections.Counter[int] = collections.Counter()

    def add(self, datasets: Sequence[WorkerDataset], number: int, batch: EmbeddedBatch) -> None:
        """Records a batch of the dataset with this number."""
        self._num_rows[number] += len(batch.examples) + len(batch.failures)
        self._metrics.add(batch)
        self._metrics.send(UnitSeconds.of(self.times))
        if self._clock() - self._last_sign_s >= SIGN_EVERY_S:
            for each, dataset in enumerate(datasets):
                dataset.give_sign(began=self._began_s, num_rows=self._num_rows[each])
            self._last_sign_s = self._clock()

    def finish(
        self, markers: Mapping[WorkerDataset, ShardMarker], decoding: DecodingOptions
    ) -> dict[WorkerDataset, ShardMarker]:
        """Returns the markers of shards whose files are in the outputs, with the report of the work on them.

        Args:
          markers: a shard of each dataset.
          decoding: how images were decoded.
        """
        seconds, ended_s, num_retried = UnitSeconds.of(self.times), self._clock(), PROCESS.take_retried()
        self._metrics.send(seconds)
        metrics.count(counters.NUM_RETRIED, num_retried)
        found: dict[WorkerDataset, ShardMarker] = {}
        for dataset, marker in markers.items():
            num_bytes = sum(file.bytes for file in marker.info.files.values())
            metrics.count(counters.BYTES_WRITTEN, num_bytes)
            report = UnitReport(
                launch=self._launch,
                worker=worker_name(),
                attempt=dataset.num_attempts,
                began=self._began_s,
                ended=ended_s,
                seconds=seconds,
                bytes_read=self.times.decoders.totals.num_bytes,
                bytes_written=num_bytes,
                num_retried=num_retried,
                machine=_machine(marker.info.environment.device, decoding),
            )
            found[dataset] = dataclasses.replace(marker, report=report)
        return found


def count_leftovers() -> None:
    """Counts what this process has loaded, and what it has tried again since the last unit was finished."""
    metrics.count(counters.NUM_RETRIED, PROCESS.take_retried())
    for load in PROCESS.take_loads():
        metrics.count_loaded(load)


def _machine(device: str, decoding: DecodingOptions) -> Machine:
    return Machine(
        device=device,
        num_devices=num_devices(),
        cores=os.cpu_count() or 1,
        decode_in=where_to_decode(decoding.decode_in),
        decode_workers=decoding.count_workers(),
    )
