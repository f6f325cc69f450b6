"""Records one attempt at a unit: its times, its metrics, and a sign of life now and then."""

import dataclasses
import os
import time
from collections.abc import Callable

import jax

from lit_precompute.pipelines.embed import counters
from lit_precompute.pipelines.embed.attempts import SIGN_EVERY_S, Attempt, Attempts
from lit_precompute.pipelines.embed.markers import ShardMarker
from lit_precompute.pipelines.embed.process_registry import PROCESS
from lit_precompute.pipelines.embed.reporting import metrics
from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitReport, UnitSeconds
from lit_precompute.pipelines.embed.reporting.worker import worker_name
from lit_precompute.precompute.embedding import where_to_decode
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.timing import EmbedTimes
from lit_precompute.precompute.tower_batches import EmbeddedBatch


class Recorder:
    """Records one attempt; begins with the work on a unit, which includes loading what it needs.

    Attributes:
      times: where the time goes.
    """

    def __init__(self, launch: str, attempts: Attempts, clock: Callable[[], float] = time.time):
        """Begins.

        Args:
          launch: name of the launch.
          attempts: where signs of life are left.
          clock: returns the seconds since 1970.
        """
        self._launch, self._attempts, self._clock = launch, attempts, clock
        self.times = EmbedTimes()
        self._metrics = metrics.UnitMetrics(self.times)
        self._began_s = self._last_sign_s = clock()
        self._num_rows = self._image_bytes = 0

    def begin(self, image_bytes: int) -> None:
        """Begins with the rows, whose images are of this size once they are prepared."""
        self._image_bytes = image_bytes

    def add(self, attempt: Attempt, batch: EmbeddedBatch) -> None:
        """Records a batch."""
        self._num_rows += len(batch.examples) + len(batch.failures)
        self._metrics.add(batch)
        self._metrics.send(UnitSeconds.of(self.times), self._image_bytes)
        if self._clock() - self._last_sign_s >= SIGN_EVERY_S:
            self._attempts.give_sign(attempt, began=self._began_s, num_rows=self._num_rows)
            self._last_sign_s = self._clock()

    def finish(self, attempt: Attempt, marker: ShardMarker, decoding: DecodingOptions) -> ShardMarker:
        """Returns the marker of a shard whose files are in the output, with the report of the work on it.

        Args:
          attempt: which one it was.
          marker: the marker.
          decoding: how images were decoded.
        """
        info, num_retried = marker.info, PROCESS.take_retried()
        seconds, num_bytes = UnitSeconds.of(self.times), sum(file.bytes for file in info.files.values())
        self._metrics.send(seconds, self._image_bytes)
        metrics.count(counters.BYTES_WRITTEN, num_bytes)
        metrics.count(counters.NUM_RETRIED, num_retried)
        metrics.count_loaded(PROCESS.take_load())
        report = UnitReport(
            launch=self._launch,
            worker=worker_name(),
            attempt=attempt.order,
            began=self._began_s,
            ended=self._clock(),
            seconds=seconds,
            bytes_read=self.times.decoders.totals.num_bytes,
            bytes_written=num_bytes,
            num_retried=num_retried,
            machine=_machine(info.environment.device, decoding),
        )
        return dataclasses.replace(marker, report=report)


def _machine(device: str, decoding: DecodingOptions) -> Machine:
    return Machine(
        device=device,
        num_devices=jax.local_device_count(),
        cores=os.cpu_count() or 1,
        decode_in=where_to_decode(decoding.decode_in),
        decode_workers=decoding.count_workers(),
    )
