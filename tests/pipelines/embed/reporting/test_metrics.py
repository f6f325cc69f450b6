"""Beam's metrics of a job. Oracle of the names that RunInference has, too: RunInference itself, on the same tower."""

import math

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference.base import RunInference

from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.reporting import counters
from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.pipelines.embed_images import JaxTowerHandler
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import open_folder
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.making import BAD, write_source
from tests.towers.tiny_tower import NAME, SIZE, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def _metrics(result):
    """Returns a pipeline's counters and distributions by name."""
    found = result.metrics().query(MetricsFilter().with_namespace(counters.NAMESPACE))
    sums, distributions = {}, {}
    for one in found["counters"]:
        sums[one.key.metric.name] = sums.get(one.key.metric.name, 0) + one.committed
    for one in found["distributions"]:
        distributions[one.key.metric.name] = one.committed
    return sums, distributions


@pytest.fixture
def tower(tmp_path):
    register_tiny_tower()
    return ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz"))


def test_a_job_counts_what_it_did(tmp_path, monkeypatch, tower):
    """40 images and 5 bad ones in units of 8 rows and batches of 4."""
    options = EmbedOptions(
        source=SourceSpec(str(write_source(tmp_path / "source"))),
        tower=tower,
        output=str(tmp_path / "out"),
        batch_size=4,
        rows_per_shard=8,
        decoding=DecodingOptions(decode_in="threads", decode_workers=2),
    )
    results, run = [], beam.Pipeline.run

    def kept(self, *given, **more):
        results.append(run(self, *given, **more))
        return results[-1]

    monkeypatch.setattr(beam.Pipeline, "run", kept)
    PROCESS.take_loads()  # of jobs that have failed in this process
    launch = Launch(options)
    launch.run()
    report = read_report(open_folder(options.output))
    sums, distributions = _metrics(results[0])
    assert (sums["rows_read"], sums["rows_embedded"], sums["rows_failed"]) == (45, 40, 5)
    reasons = {name: count for name, count in sums.items() if name.startswith("rows_failed_")}
    assert reasons == {f"rows_failed_{reason}": 1 for reason, _ in BAD.values()}
    assert sums["num_inferences"] == 40
    assert (sums["bytes_read"], sums["bytes_written"]) == (report.bytes_read, report.bytes_written)
    sizes, sizes_in_bytes = distributions["inference_request_batch_size"], distributions[counters.BATCH_BYTES]
    assert (sizes.sum, sizes.max) == (40, 4)
    assert sizes_in_bytes.sum == 40 * SIZE * SIZE * 3
    assert distributions["inference_batch_latency_micro_secs"].count == sizes.count
    (kernel,) = PROCESS.tower(tower).parameters.values()
    assert distributions["model_byte_size"].sum == np.asarray(kernel).nbytes
    assert distributions["load_model_latency_milli_secs"].count == 1
    for name, seconds in report.seconds:
        assert sums[counters.seconds_counter(name)] == pytest.approx(seconds * 1e3, abs=6 + 1), name
        assert not math.isnan(seconds)


def test_names_are_those_of_run_inference(tower):
    images = [np.zeros((SIZE, SIZE, 3), np.uint8)] * 3
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create(images) | RunInference(JaxTowerHandler(tower, batch_size=4))
    sums, distributions = _metrics(pipeline.run())
    assert {*sums} == {counters.NUM_INFERENCES}
    ours = {counters.BATCH_SIZE, counters.BATCH_BYTES, counters.BATCH_LATENCY}
    assert {*distributions} == ours | {counters.LOAD_LATENCY, counters.MODEL_BYTES}
