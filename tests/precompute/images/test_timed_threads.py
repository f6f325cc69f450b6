"""Work that never ends is given up, in threads and in processes; nothing else is."""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from lit_precompute.precompute.images import timed_threads
from lit_precompute.precompute.images.ahead import PreparingThreads
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.images.timed_threads import MAX_STUCK, StuckError, TimedThreads
from lit_precompute.towers.preprocessing import Preprocessing
from tests.precompute.images.reads import read_by

_SHORT_S = 0.3
PREPROCESSING = Preprocessing(size=12)


class _Gate:
    """Work that waits until it is let through; counts who waits."""

    def __init__(self):
        self.open, self.num_waiting = threading.Event(), 0

    def wait(self):
        self.num_waiting += 1
        assert self.open.wait(60)
        self.num_waiting -= 1


@pytest.fixture
def gate():
    gate = _Gate()
    yield gate
    gate.open.set()


def _threads(function, *, num_threads=2, timeout_s=_SHORT_S):
    return TimedThreads(function, num_threads=num_threads, ahead=6, timeout_s=timeout_s, too_slow=lambda stage: stage)


def test_what_hangs_gets_its_result_and_the_others_go_on_in_order(gate):
    def work_on(work, item):
        with work.stage_of("reading"):
            if item == 2:
                gate.wait()
        with work.stage_of("decoding"):
            if item in (4, 5):
                gate.wait()
        return item

    threads = _threads(work_on)
    assert list(threads.map(range(9))) == [0, 1, "reading", 3, "decoding", "decoding", 6, 7, 8]
    assert gate.num_waiting == 3
    assert list(threads.map(range(2))) == [0, 1]


def test_waiting_for_ones_turn_is_not_too_slow(gate):
    """Four times the time that is allowed, before what is waited for is held."""

    @contextlib.contextmanager
    def room():
        time.sleep(4 * _SHORT_S)
        yield

    def work_on(work, item):
        with work.holding(room()), work.stage_of("decoding"):
            return item

    assert list(_threads(work_on).map(range(2))) == [0, 1]


def test_what_is_held_by_work_that_hangs_is_free_for_others(gate):
    lock = threading.Lock()

    def work_on(work, item):
        with work.holding(lock), work.stage_of("decoding"):
            if item == 0:
                gate.wait()
            return item

    assert list(_threads(work_on).map(range(5))) == ["decoding", 1, 2, 3, 4]
    gate.open.set()
    with lock:  # and is given back once only
        pass
    assert not lock.locked()


def test_all_that_is_held_by_work_that_hangs_is_free_for_others(gate):
    """As a large file, and within it the pixels of its image."""
    outer, inner = threading.Lock(), threading.Lock()

    def work_on(work, item):
        with work.holding(outer):
            with work.stage_of("reading"):
                pass
            with work.holding(inner), work.stage_of("decoding"):
                if item == 0:
                    gate.wait()
                return item

    assert list(_threads(work_on).map(range(5))) == ["decoding", 1, 2, 3, 4]
    gate.open.set()
    for lock in (outer, inner):
        with lock:
            pass
        assert not lock.locked()


def test_work_begins_before_all_items_that_may_be_ahead_are_taken():
    begun, taken = threading.Event(), []

    def items():
        for item in range(40):
            if item == 30:
                assert begun.wait(60)
            taken.append(item)
            yield item

    def work_on(work, item):
        begun.set()
        return item

    threads = TimedThreads(work_on, num_threads=1, ahead=40, timeout_s=60, too_slow=lambda stage: stage)
    assert list(threads.map(items())) == list(range(40))


def test_time_in_which_nobody_waits_does_not_count():
    """As while the device is busy, or the process is stopped."""

    def work_on(work, item):
        with work.stage_of("reading"):
            time.sleep(3 * _SHORT_S if item == 1 else 0)
        return item

    results = _threads(work_on).map(range(3))
    assert next(results) == 0
    time.sleep(3.5 * _SHORT_S)
    assert list(results) == [1, 2]


def test_a_clock_that_jumps_gives_nothing_up(gate, monkeypatch):
    """The process was stopped for an hour, or the machine suspended, while it waited."""
    now_s = [0.0]

    def jump():
        now_s[0] += 3600
        return now_s[0]

    def work_on(work, item):
        with work.stage_of("reading"):
            time.sleep(0.5)
        return item

    monkeypatch.setattr(timed_threads.time, "monotonic", jump)
    assert list(_threads(work_on, timeout_s=60).map(range(2))) == [0, 1]


def test_too_many_that_hang_are_an_error_until_they_return(gate):
    def work_on(work, item):
        with work.stage_of("reading"):
            if item >= 3:
                gate.wait()
        return item

    threads = _threads(work_on, num_threads=4)
    found = []
    with pytest.raises(StuckError, match=rf"{MAX_STUCK} images .* within 0.3 s .* --timeout-per-image"):
        found += threads.map(range(100))
    assert gate.num_waiting <= MAX_STUCK + 4
    with pytest.raises(StuckError):
        next(threads.map(range(1)))
    gate.open.set()
    while gate.num_waiting:
        time.sleep(0.01)
    time.sleep(0.1)
    assert list(threads.map(range(100))) == list(range(100))


def test_no_more_threads_is_an_error_and_no_wait_without_end(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    threads = _threads(lambda work, item: item)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            list(threads.map(range(5)))
    assert list(threads.map(range(5))) == list(range(5))


def test_an_end_in_the_middle_does_not_wait_for_what_hangs(gate):
    def work_on(work, item):
        with work.stage_of("reading"):
            if item == 1:
                gate.wait()
        return item

    results = _threads(work_on).map(range(100))
    assert next(results) == 0
    started_s = time.monotonic()
    results.close()
    assert time.monotonic() - started_s < 20


def _png(number):
    height, width = np.random.default_rng(number).integers(6, 30, 2)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _hang_until(path):
    while not pathlib.Path(path).exists():
        time.sleep(0.02)
    return _png(0)


def _tell_process():
    raise ImageError("missing", str(os.getpid()))


@pytest.mark.parametrize("kind", [PreparingThreads, PreparingProcesses])
def test_a_read_that_hangs_is_a_failure_of_its_image_alone(tmp_path, kind):
    preparer = kind([PREPROCESSING, PREPROCESSING], num_workers=2, ahead=20, timeout_s=1)
    reads = [KeyedRead(str(number), read_by(_png, number)) for number in range(40)]
    reads[17] = KeyedRead("17", read_by(_hang_until, str(tmp_path / "go")))
    try:
        for number, outcome in enumerate(preparer.prepare(reads)):
            assert len(outcome) == 2
            for prepared in outcome:
                if number == 17:
                    assert isinstance(prepared, ImageError) and prepared.reason == "too-slow"
                    assert str(prepared) == "could not be read within 1 s (--timeout-per-image)"
                else:
                    np.testing.assert_array_equal(prepared, load(_png(number), PREPROCESSING))
    finally:
        (tmp_path / "go").touch()
        if kind is PreparingProcesses:
            preparer.close()


def test_processes_that_are_stuck_are_replaced(tmp_path):
    processes = PreparingProcesses([PREPROCESSING], num_workers=1, ahead=8, timeout_s=0.2)
    try:
        ((before,),) = processes.prepare([KeyedRead("", read_by(_tell_process))])
        hanging = KeyedRead("", read_by(_hang_until, str(tmp_path / "never")))
        with pytest.raises(StuckError, match="still occupy it"):
            list(processes.prepare([hanging] * 40))
        ((after,),) = processes.prepare([KeyedRead("", read_by(_tell_process))])
        assert str(after) != str(before)
        until_s = time.monotonic() + 30
        while pathlib.Path(f"/proc/{before}/exe").exists() and time.monotonic() < until_s:
            time.sleep(0.1)
        assert not pathlib.Path(f"/proc/{before}/exe").exists()
    finally:
        processes.close()


_PROGRAM = """
import sys, time
from tests.precompute.images import test_timed_threads as here

def never(work, item):
    with work.stage_of("reading"):
        time.sleep(3600)

threads = here.TimedThreads(never, num_threads=2, ahead=2, timeout_s=0.2, too_slow=lambda stage: stage)
print(list(threads.map(range(2))))
"""


@pytest.mark.slow
def test_threads_that_hang_do_not_keep_the_process():
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path.cwd())}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert (ended.returncode, ended.stdout) == (0, "['reading', 'reading']\n"), ended.stderr
