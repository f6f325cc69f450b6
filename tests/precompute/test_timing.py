"""Where the time goes, with clocks and batches that are known."""

import threading
import time
import types

import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.precompute import timing
from lit_precompute.precompute.timing import DeviceTime, PhaseClock

IMAGES = np.zeros((4, 2, 2, 3), np.uint8)


class _Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def take(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """The clock of devices."""
    clock = _Clock()
    monkeypatch.setattr(timing, "time", types.SimpleNamespace(perf_counter=clock))
    return clock


def _spent(phases):
    return {phase: seconds for phase, seconds in phases.seconds().items() if seconds}


def test_phases_exclude_one_another_and_add_up_to_the_time():
    clock = _Clock()
    phases = PhaseClock(clock)
    clock.take(1)
    with phases.during("writing"):
        clock.take(10)
        with phases.during("waiting_for_device"):
            clock.take(100)
        clock.take(1000)
    clock.take(2)
    assert _spent(phases) == {"other": 3, "writing": 1010, "waiting_for_device": 100}


def test_an_error_ends_its_phase():
    clock = _Clock()
    phases = PhaseClock(clock)
    with pytest.raises(KeyError), phases.during("writing"):
        clock.take(4)
        raise KeyError
    clock.take(1)
    assert _spent(phases) == {"writing": 4, "other": 1}


def test_getting_an_item_is_a_phase_and_using_it_is_none():
    """Rows are read while an image is waited for, as in `embed_examples`."""
    clock = _Clock()
    phases = PhaseClock(clock)

    def rows():
        for number in range(3):
            clock.take(1)
            yield number

    def images():
        for number in phases.each("reading_rows", rows()):
            clock.take(10)
            yield number

    found = []
    for number in phases.each("waiting_for_images", images()):
        clock.take(100)
        found.append(number)
    assert found == [0, 1, 2]
    assert _spent(phases) == {"reading_rows": 3, "waiting_for_images": 30, "other": 300}


def test_a_batch_is_timed_until_it_is_computed_not_until_it_is_looked_at(clock):
    device, computed = DeviceTime(), jnp.ones(4)

    def begin(images):
        clock.take(10)
        return computed

    with device.watching():
        device.start(3, begin, IMAGES)
        while not (batches := device.take_batches()):
            time.sleep(0.001)
        clock.take(1000)
        device.start(1, begin, IMAGES)
    batches += device.take_batches()
    assert batches == [(3, 3 * 12, 10), (1, 12, 10)]
    assert device.busy_s == 20
    assert device.take_batches() == []


def test_a_batch_that_cannot_be_started_is_not_on_the_device(clock):
    def broken(images):
        raise MemoryError

    device, computed = DeviceTime(), jnp.ones(4)
    with device.watching():
        with pytest.raises(MemoryError):
            device.start(1, broken, IMAGES)
        clock.take(1000)
        device.start(1, lambda images: computed, IMAGES)
    assert device.busy_s == 0


def test_seconds_of_threads_that_share_the_devices_add_up_to_the_time():
    devices, computed = [DeviceTime() for _ in range(3)], jnp.ones(4)
    began_s = time.perf_counter()

    def embed(device):
        with device.watching():
            device.start(1, lambda images: _slowly(0.1, computed), IMAGES)

    threads = [threading.Thread(target=embed, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed_s = time.perf_counter() - began_s
    assert 0.1 <= sum(device.busy_s for device in devices) <= passed_s


def _slowly(seconds, vectors):
    time.sleep(seconds)
    return vectors
