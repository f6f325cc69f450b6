"""Beam's metrics of the embedding job. Beam counts only what a bundle's own thread hands over, so that one does."""

from apache_beam.metrics.metric import Metrics

from lit_precompute.pipelines.embed.reporting import counters
from lit_precompute.pipelines.embed.reporting.unit_report import UnitSeconds
from lit_precompute.pipelines.embed.workers.process_registry import Load
from lit_precompute.precompute.timing import EmbedTimes
from lit_precompute.precompute.tower_batches import EmbeddedBatch

_NUM_INFERENCES = Metrics.counter(counters.NAMESPACE, counters.NUM_INFERENCES)
_BATCH_SIZE = Metrics.distribution(counters.NAMESPACE, counters.BATCH_SIZE)
_BATCH_BYTES = Metrics.distribution(counters.NAMESPACE, counters.BATCH_BYTES)
_BATCH_LATENCY = Metrics.distribution(counters.NAMESPACE, counters.BATCH_LATENCY)
_LOAD_LATENCY = Metrics.distribution(counters.NAMESPACE, counters.LOAD_LATENCY)
_MODEL_BYTES = Metrics.distribution(counters.NAMESPACE, counters.MODEL_BYTES)
_SECONDS = {
    name: Metrics.counter(counters.NAMESPACE, counters.seconds_counter(name)) for name in UnitSeconds.model_fields
}


def count(name: str, number: int) -> None:
    """Adds to a counter."""
    if number:
        Metrics.counter(counters.NAMESPACE, name).inc(number)


def count_loaded(load: Load) -> None:
    """Counts a tower that this process has loaded."""
    _LOAD_LATENCY.update(round(load.seconds * 1e3))
    _MODEL_BYTES.update(load.num_bytes)


class UnitMetrics:
    """The metrics of one pass over a unit."""

    def __init__(self, times: EmbedTimes):
        """Takes what measures the attempt."""
        self._times = times
        self._sent_ms = dict.fromkeys(UnitSeconds.model_fields, 0)
        self._num_bytes_sent = 0

    def add(self, batch: EmbeddedBatch) -> None:
        """Counts a batch's rows."""
        count(counters.ROWS_READ, len(batch.examples) + len(batch.failures))
        count(counters.ROWS_EMBEDDED, len(batch.examples))
        count(counters.ROWS_FAILED, len(batch.failures))
        for failure in batch.failures:
            count(f"{counters.ROWS_FAILED}_{failure.reason}", 1)

    def send(self, seconds: UnitSeconds) -> None:
        """Counts what was measured since the last call; `seconds` are those from the beginning on."""
        for batch in self._times.device.take_batches():
            _NUM_INFERENCES.inc(batch.num_rows)
            _BATCH_SIZE.update(batch.num_rows)
            _BATCH_BYTES.update(batch.num_bytes)
            _BATCH_LATENCY.update(round(batch.latency_s * 1e6))
        for name, value_s in seconds:
            more_ms = int(value_s * 1e3) - self._sent_ms[name]
            self._sent_ms[name] += more_ms
            _SECONDS[name].inc(more_ms)
        num_bytes = self._times.decoders.totals.num_bytes
        count(counters.BYTES_READ, num_bytes - self._num_bytes_sent)
        self._num_bytes_sent = num_bytes
