"""Launches from Python: progress, stopping, resuming, failures."""

import dataclasses
import threading

import pytest

from lit_precompute.pipelines.embed.launch import EmbedError, EmbedStopped, Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.process_registry import PROCESS
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.making import write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture
def options(tmp_path):
    register_tiny_tower()
    return EmbedOptions(
        source=str(write_source(tmp_path / "source")),
        tower=ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz")),
        output=str(tmp_path / "out"),
        batch_size=4,
        rows_per_shard=8,
        decoding=DecodingOptions(decode_in="threads", decode_workers=2),
    )


def test_a_stopped_job_is_resumed_by_the_next_launch(options, tmp_path):
    alone = dataclasses.replace(options, output=str(tmp_path / "alone"))
    Launch(alone).run()
    with pytest.raises(EmbedStopped, match="run the same command again to resume"):
        _stopped_before_the_first_batch(options)
    again = Launch(options)
    assert not again.is_finished
    assert again.run().num_rows == 40
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    assert Launch(options).is_finished


def _stopped_before_the_first_batch(options):
    """Runs the job, holding its images back until it knows of the stop."""
    asked = threading.Event()
    preparer = PROCESS.preparer(options.tower, options.batch_size, options.decoding)
    prepare = preparer.prepare

    def prepare_later(reads):
        assert asked.wait(30)
        return prepare(reads)

    def should_stop():
        return True

    preparer.prepare = prepare_later
    try:
        Launch(options).run(lambda progress: asked.set(), should_stop)  # reports after it has asked should_stop
    finally:
        del preparer.prepare


def test_too_many_failures_are_an_error_that_lists_them(options):
    with pytest.raises(EmbedError, match=r"rows failed, --max-failures allows 2: .*1 empty \(first: bad/empty.png\)"):
        Launch(dataclasses.replace(options, max_failures="2")).run()
    manifest = Launch(dataclasses.replace(options, max_failures="100%")).run()
    assert (manifest.num_rows, manifest.num_failures) == (40, 5)
    assert verify(options.output) == []
