"""Images prepared ahead, in threads and in processes: order, failures, bounds, and processes that end."""

import functools
import io
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from PIL import Image

from lit_precompute.precompute.images.ahead import PreparingThreads
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.limits import PixelsInFlight
from lit_precompute.precompute.images.preprocessing import load, prepare
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.reading import LargeFileError
from lit_precompute.towers.preprocessing import Preprocessing
from tests.precompute.images.reads import keyed, read_by

PREPROCESSING = Preprocessing(size=12)
MOST_PIXELS = 1000


def _png(number):
    height, width = np.random.default_rng(number).integers(6, 30, 2)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _read(number):
    """Stands at the module's top, so that a process finds it."""
    return _png(number)


def _missing(number):
    raise ImageError("missing", f"no file {number}.png")


def _lost():
    raise ConnectionError("the store went away")


def _cut():
    return _png(3)[:50]


def _read_slowly(number):
    time.sleep(0.02)
    return _png(number)


def _tell_process():
    raise ImageError("missing", str(os.getpid()))


def _tell_process_slowly():
    time.sleep(0.02)
    _tell_process()


def _hang():
    time.sleep(3600)


def _end_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def _reads(count, read=_read):
    return [read_by(read, number) for number in range(count)]


@pytest.fixture(scope="module")
def processes():
    pool = PreparingProcesses([PREPROCESSING], num_workers=2, ahead=20, max_pixels=MOST_PIXELS)
    yield pool
    pool.close()


@pytest.fixture
def threads():
    return PreparingThreads([PREPROCESSING], num_workers=3, ahead=20, max_pixels=MOST_PIXELS)


@pytest.fixture(params=["threads", "processes"])
def preparer(request):
    return request.getfixturevalue(request.param)


def _outcomes(preparer, reads):
    """Images are valid until the next is asked for: copied here."""
    return [image if isinstance(image, ImageError) else image.copy() for image in _prepare(preparer, reads)]


def _prepare(preparer, reads):
    """Yields what each read is prepared to, in one way."""
    for outcome in preparer.prepare(keyed(reads)):
        (image,) = outcome
        yield image


def test_an_error_keeps_nothing_of_what_was_decoded(threads):
    """Its traceback would keep a damaged image's pixels until its turn comes."""
    (error,) = _prepare(threads, [read_by(_cut)])
    assert error.reason == "truncated"
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


@pytest.mark.parametrize("kind", [PreparingThreads, PreparingProcesses])
def test_an_error_of_the_source_leaves_room_for_the_next_use(kind):
    """Of an engine that tries a unit again: each error once cost a chunk's slots."""
    preparer = kind([PREPROCESSING], num_workers=1, ahead=4)

    def lost(number):
        yield from _reads(number)
        raise OSError("the source went away")

    for number in (0, 1, 20, 0, 1, 20):
        with pytest.raises(OSError, match="went away"):
            list(_prepare(preparer, lost(number)))
    assert len(_outcomes(preparer, _reads(50))) == 50
    if isinstance(preparer, PreparingProcesses):
        preparer.close()


def test_images_above_the_pixels_in_flight_are_prepared_one_at_a_time():
    threads = PreparingThreads([PREPROCESSING], num_workers=3, ahead=20, max_pixels_in_flight=1)
    found = _outcomes(threads, _reads(50))
    for number, image in enumerate(found):
        np.testing.assert_array_equal(image, load(_png(number), PREPROCESSING))


@pytest.mark.parametrize(("resampler", "bytes_each"), [("pillow", 15), ("torch", 20)])
def test_the_pixels_that_a_resize_makes_count_by_their_bytes(monkeypatch, resampler, bytes_each):
    """A pixel in flight stands for at least 7 bytes: that many are held beside the decoded image."""
    held, take = [], PixelsInFlight.take_share

    def watched(self, num_pixels):
        held.append(num_pixels)
        return take(self, num_pixels)

    monkeypatch.setattr(PixelsInFlight, "take_share", watched)
    large = Preprocessing(size=300, antialias=True, resampler=resampler)
    _outcomes(PreparingThreads([large], num_workers=1, ahead=1), _reads(1))
    with Image.open(io.BytesIO(_png(0))) as image:
        num_decoded = image.width * image.height
    assert 7 * (held[0] - num_decoded) >= (bytes_each - 1) * 300**2


@pytest.mark.parametrize("count", [0, 1, 8, 9, 100])
def test_images_come_in_order_and_equal_those_prepared_singly(preparer, count):
    found = _outcomes(preparer, _reads(count))
    assert len(found) == count
    for number, image in enumerate(found):
        np.testing.assert_array_equal(image, load(_png(number), PREPROCESSING))


@pytest.mark.parametrize("kind", [PreparingThreads, PreparingProcesses])
def test_several_images_of_each_read(kind):
    """Of other sizes and types, random views, decoded in another way; one that fails is an error in its place."""
    ways = [
        PREPROCESSING,
        Preprocessing(size=7, jpeg="accurate"),
        Preprocessing(size=5, antialias=True, resampler="torch"),
        PREPROCESSING.of_view(1),
        Preprocessing(size=5, resize="short_side", resize_size=50_000_000, crop="central"),
    ]
    preparer = kind(ways, num_workers=2, ahead=4)
    for number, (*images, error) in enumerate(preparer.prepare(keyed(_reads(12)))):
        decoded = decode(_png(number))
        for image, way in zip(images, ways, strict=False):
            np.testing.assert_array_equal(image, prepare(decoded, way, str(number)))
            assert image.dtype == way.pixel_type
        assert isinstance(error, ImageError) and error.reason == "too-large"
    for missing in preparer.prepare(keyed([read_by(_missing, 1)])):
        assert [error.reason for error in missing] == ["missing"] * 5
    if isinstance(preparer, PreparingProcesses):
        preparer.close()


def test_errors_come_in_the_places_of_their_images(preparer):
    reads = _reads(12)
    reads[1], reads[4], reads[9] = read_by(_missing, 1), read_by(_cut), read_by(bytes, 5)
    found = _outcomes(preparer, reads)
    errors = {place: (one.reason, str(one)) for place, one in enumerate(found) if isinstance(one, ImageError)}
    assert errors[1] == ("missing", "no file 1.png")
    reasons = {place: reason for place, (reason, _) in errors.items()}
    assert reasons == {1: "missing", 4: "truncated", 9: "not-a-picture"}
    np.testing.assert_array_equal(found[10], load(_png(10), PREPROCESSING))


def test_an_image_with_too_many_pixels_is_too_large(preparer):
    stream = io.BytesIO()
    Image.new("RGB", (40, 40)).save(stream, "PNG")
    (found,) = _prepare(preparer, [read_by(bytes, stream.getvalue())])
    assert isinstance(found, ImageError) and found.reason == "too-large"


def test_another_error_of_a_read_is_raised_and_the_next_use_works(preparer):
    with pytest.raises(ConnectionError, match="went away"):
        _outcomes(preparer, [*_reads(3), read_by(_lost)])
    assert len(_outcomes(preparer, _reads(50))) == 50


def test_a_bounded_number_of_reads_is_taken_ahead_and_an_early_end_frees_all_slots(preparer):
    taken = []

    def reads():
        for read in _reads(500):
            taken.append(read)
            yield read

    for _ in range(3):
        taken.clear()
        outcomes = _prepare(preparer, reads())
        next(outcomes)
        # Two processes have two chunks of sixteen each at least.
        assert len(taken) <= 2 * 2 * 16 + 1
        outcomes.close()
    assert len(_outcomes(preparer, _reads(100))) == 100


def test_two_may_prepare_in_turns(preparer):
    first, second = _prepare(preparer, _reads(100)), _prepare(preparer, _reads(100)[::-1])
    next(first)  # holds all slots there are
    done = [np.array(outcome) for outcome in first]
    np.testing.assert_array_equal(done[-1], load(_png(99), PREPROCESSING))
    np.testing.assert_array_equal(next(second), load(_png(99), PREPROCESSING))


def test_a_killed_process_is_an_error_and_the_next_use_has_others(processes):
    with pytest.raises(RuntimeError, match=r"ended from outside.*--decode-workers"):
        _outcomes(processes, [*_reads(30), read_by(_end_this_process), *_reads(30)])
    assert len(_outcomes(processes, _reads(100))) == 100


def test_a_process_killed_while_idle_is_replaced(processes):
    assert len(_outcomes(processes, _reads(3))) == 3
    (process,) = _prepare(processes, [read_by(_tell_process)])
    os.kill(int(str(process)), signal.SIGKILL)
    with pytest.raises(BrokenProcessPool):  # until the pool has seen it
        while True:
            processes._pool.submit(os.getpid).result()
    assert len(_outcomes(processes, _reads(100))) == 100


@functools.cache
def _large_png():
    stream = io.BytesIO()
    Image.new("RGBA", (1500, 1500), (9, 8, 7, 6)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


class _LargeFiles:
    """Reads of large files; notes how many are read or decoded at a time."""

    def __init__(self):
        self.num_now, self.num_most, self._lock = 0, 0, threading.Lock()

    def __call__(self, max_bytes=None):
        if max_bytes is not None:
            raise LargeFileError("too long for now")
        with self._lock:
            self.num_now += 1
            self.num_most = max(self.num_most, self.num_now)
        time.sleep(0.005)
        with self._lock:
            self.num_now -= 1
        return _png(1)


def test_large_files_are_read_one_at_a_time_beside_small_ones(threads):
    large = _LargeFiles()
    found = _outcomes(threads, [read for number in range(20) for read in (large, read_by(_read, number))])
    assert not any(isinstance(outcome, ImageError) for outcome in found)
    assert large.num_most == 1


@pytest.fixture
def one_at_a_time():
    pool = PreparingProcesses([PREPROCESSING], num_workers=2, ahead=20, max_pixels_in_flight=1)
    yield pool
    pool.close()


@pytest.mark.parametrize("victim", [0, 1])
def test_what_a_killed_process_held_or_waited_for_is_free_again(one_at_a_time, victim):
    """One process holds all pixels in flight, another waits for them, and either is killed."""
    pids = set()
    while len(pids) < 2:  # one may take longer to begin
        pids |= {int(str(outcome)) for outcome in _prepare(one_at_a_time, [read_by(_tell_process_slowly)] * 40)}
    reads = [read_by(bytes, _large_png())] * 64
    endless = [*reads[:40], read_by(_hang), *reads[:15], read_by(_hang)]  # neither process is ever done
    outcomes = _prepare(one_at_a_time, endless)
    next(outcomes)
    os.kill(sorted(pids)[victim], signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended from outside"):
        list(outcomes)
    assert len(_outcomes(one_at_a_time, reads[:9])) == 9


def _children(pid):
    """Returns the processes that descend from one, by what the system says of each one's parent."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


_PARENT = """
import sys, time
from tests.precompute.images import test_ahead as here

if __name__ == "__main__":
    pool = here.PreparingProcesses([here.PREPROCESSING], num_workers=2, ahead=20)
    outcomes = here._prepare(pool, here._reads(100_000, here._read_slowly))
    next(outcomes)
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the processes")
def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path.cwd())}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout and parent.stdout.readline() == "begun\n"
        children = _children(parent.pid)
        assert len(children) >= 3  # the server and two that decode
        parent.kill()
    # Of a process that has ended, and for which nobody has waited, `exe` is gone.
    until_s = time.monotonic() + 60
    while alive := [child for child in children if pathlib.Path(f"/proc/{child}/exe").exists()]:
        assert time.monotonic() < until_s, alive
        time.sleep(0.1)
