"""The registry of a process: progress by output, and what is loaded once."""

import concurrent.futures
import threading

import pytest

from lit_precompute.pipelines.embed.workers.process_registry import JobProgress, ProcessRegistry
from lit_precompute.precompute.embedding import TowerUse
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.towers.options import ImageTowerOptions
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights


@pytest.fixture
def tower_options(tmp_path):
    register_tiny_tower()
    return ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz"))


def test_launcher_and_workers_share_progress_by_output():
    registry, progress = ProcessRegistry(), JobProgress()
    with registry.launching("a", progress):
        registry.progress("a").add(num_rows=3, num_failures=1)
        registry.progress("b").add(num_rows=9, num_failures=0)
        assert registry.progress("b") is registry.progress("b")
        assert (progress.num_rows, progress.num_failures) == (4, 1)


def test_a_stop_affects_one_job_and_one_launch():
    registry = ProcessRegistry()
    with registry.launching("a", stopped := JobProgress()):
        stopped.request_stop()
        assert registry.progress("a").is_stop_requested
        assert not registry.progress("b").is_stop_requested
    assert not registry.progress("a").is_stop_requested


def test_a_launcher_waits_for_the_units_of_its_process():
    progress, begun, ended, moments = JobProgress(), threading.Event(), threading.Event(), []

    def work():
        with progress.unit():
            begun.set()
            assert ended.wait(30)
            moments.append("unit")

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        progress.wait_for_units(30)  # none has begun
        pool.submit(work)
        assert begun.wait(30)
        progress.wait_for_units(0.01)
        assert moments == []
        ended.set()
        progress.wait_for_units(30)
        assert moments == ["unit"]


def test_everything_is_loaded_once_for_all_threads(tower_options):
    registry, decoding = ProcessRegistry(), DecodingOptions(decode_in="threads", decode_workers=1)

    def load(_):
        embedder = registry.embedder(tower_options, 4)
        return registry.tower(tower_options), embedder, registry.preparer([TowerUse(embedder=embedder)], decoding)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load, range(8)))
    for kind in zip(*loaded, strict=True):
        assert len({id(one) for one in kind}) == 1
    assert loaded[0][1].tower is loaded[0][0]


def test_other_options_load_again(tower_options):
    registry = ProcessRegistry()
    first = registry.embedder(tower_options, 4)
    second = registry.embedder(tower_options, 8)
    assert (first.batch_size, second.batch_size) == (4, 8)
    places = [
        [
            shard.data.unsafe_buffer_pointer()
            for parameter in embedder.tower.parameters.values()
            for shard in parameter.addressable_shards
        ]
        for embedder in (first, second)
    ]
    assert places[0] == places[1]  # the parameters are in memory once
    assert registry.embedder(tower_options, 4) is not first  # only the latest is kept
