"""The cache of remote files: whole or absent, fetched once, bounded, and never pulled from under a reader."""

import concurrent.futures
import errno
import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lit_precompute.schemas.storage import Content, DatasetError, FetchingStopped, FileCache
from lit_precompute.schemas.storage.caching import held_file, room
from tests.flaky_server import flaky_server

PIECE = 100_000
_FETCH = """
import hashlib, pathlib, sys
from lit_precompute.schemas.storage import Content, FileCache
from lit_precompute.schemas.storage import remote_bytes
remote_bytes.PIECE_BYTES = {piece}
folder, url, size, sha256 = sys.argv[1:]
held = FileCache(pathlib.Path(folder)).hold(url, Content(int(size), sha256, lambda *_: None))
print(hashlib.sha256(held.path.read_bytes()).hexdigest() == sha256)
"""


@pytest.fixture
def server():
    with flaky_server() as server:
        yield server


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("lit_precompute.schemas.storage.remote_bytes.PIECE_BYTES", PIECE)


@pytest.fixture
def cache(tmp_path):
    return FileCache(tmp_path / "cache")


def _content(data):
    sha256 = hashlib.sha256(data).hexdigest()

    def check(num_bytes, found):
        if (num_bytes, found()) != (len(data), sha256):
            raise DatasetError(f"{num_bytes} of {len(data)} bytes")

    return Content(len(data), sha256, check)


def _serve(server, name, num_bytes=250_000):
    server.contents[f"/{name}"] = data = random.Random(name).randbytes(num_bytes)
    return f"{server.address}/{name}", data


def _read(cache, url, data):
    held = cache.hold(url, _content(data))
    try:
        return held.path.read_bytes()
    finally:
        held.close()


def _files(cache):
    return {path.name for path in cache._folder.rglob("*") if path.is_file()}


def _gets(server):
    return [part for command, _, part in server.asked if command == "GET"]


def test_a_file_is_fetched_once_wherever_it_is(cache, server):
    url, data = _serve(server, "a")
    assert _read(cache, url, data) == data
    num_asked = len(server.asked)
    server.contents.clear()
    assert _read(cache, f"{server.address}/another-place", data) == data
    assert len(server.asked) == num_asked
    assert _files(cache) == {hashlib.sha256(data).hexdigest()}


def test_other_bytes_are_refused_and_not_kept(cache, server):
    url, data = _serve(server, "a")
    for wrong in (data[:-1], data + b"x", bytes(len(data)), b""):
        server.contents["/a"] = wrong
        with pytest.raises(DatasetError, match=f"^{len(wrong)} of 250000 bytes"):
            _read(cache, url, data)
        assert _files(cache) == set()
    with pytest.raises(FileNotFoundError):
        _read(cache, f"{server.address}/b", data)
    assert _files(cache) == set()


def test_what_was_fetched_before_is_not_fetched_again(cache, server):
    url, data = _serve(server, "a")
    with pytest.raises(FetchingStopped):
        cache.hold(url, _content(data), lambda: True)
    assert _files(cache) == {f"{hashlib.sha256(data).hexdigest()}.part"}
    server.asked.clear()
    assert _read(cache, url, data) == data
    assert _gets(server) == [f"bytes={PIECE}-{2 * PIECE - 1}", f"bytes={2 * PIECE}-{len(data) - 1}"]


@pytest.mark.parametrize("wrong", [b"other bytes" * 1000, bytes(400_000)])
def test_a_part_of_something_else_is_fetched_again_from_its_beginning(cache, server, wrong):
    url, data = _serve(server, "a")
    (path := cache._path(hashlib.sha256(data).hexdigest())).parent.mkdir()
    path.with_name(f"{path.name}.part").write_bytes(wrong)
    assert _read(cache, url, data) == data


def test_a_file_that_was_cut_on_this_disk_is_fetched_again(cache, server):
    url, data = _serve(server, "a")
    _read(cache, url, data)
    sha256 = hashlib.sha256(data).hexdigest()
    os.truncate(cache._path(sha256), 1000)
    assert _read(cache, url, data) == data
    assert not cache.discard_damaged(sha256)
    cache._path(sha256).write_bytes(bytes(len(data)))
    assert cache.discard_damaged(sha256)
    assert not cache.discard_damaged(sha256)
    assert _read(cache, url, data) == data


def test_a_cache_that_was_removed_is_made_again(cache, server):
    url, data = _serve(server, "a")
    _read(cache, url, data)
    shutil.rmtree(cache._folder)
    assert _read(cache, url, data) == data


def test_threads_that_want_one_file_fetch_it_once(cache, server):
    url, data = _serve(server, "a", 10 * PIECE - 1)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: _read(cache, url, data), range(16))) == {data}
    assert len(_gets(server)) == 10
    assert _files(cache) == {hashlib.sha256(data).hexdigest()}


def _start(cache, url, data):
    command = [sys.executable, "-c", _FETCH.format(piece=PIECE), str(cache._folder), url, str(len(data))]
    return subprocess.Popen([*command, hashlib.sha256(data).hexdigest()], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_that_want_one_file_fetch_it_once_and_a_killed_one_is_continued(cache, server):
    url, data = _serve(server, "a", 40 * PIECE - 1)
    processes = [_start(cache, url, data) for _ in range(3)]
    assert [process.communicate()[0] for process in processes] == ["True\n"] * 3
    assert len(_gets(server)) == 40
    url, data = _serve(server, "b", 400 * PIECE - 1)
    killed = _start(cache, url, data)
    part = cache._path(hashlib.sha256(data).hexdigest()).with_suffix(".part")
    while not part.exists() or part.stat().st_size < 21 * PIECE:
        assert killed.poll() is None
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    server.asked.clear()
    assert _read(cache, url, data) == data
    assert 0 < len(_gets(server)) <= 379 + 1  # what the killed one has asked for last may arrive late


def test_what_was_not_used_for_longest_is_removed(cache, server, monkeypatch):
    monkeypatch.setenv(room.BOUND_VARIABLE, "1MB")
    monkeypatch.setattr(held_file, "_TOUCH_EVERY_S", 0.0)
    clock, utime = itertools.count(), os.utime  # the system's own may stand still between two files
    monkeypatch.setattr("os.utime", lambda number: utime(number, (now_s := next(clock), now_s)))
    served = [_serve(server, f"file-{number}") for number in range(8)]
    for url, data in served[:4]:
        _read(cache, url, data)
    _read(cache, *served[0])
    for url, data in served[4:6]:
        _read(cache, url, data)
    kept = {hashlib.sha256(served[number][1]).hexdigest() for number in (0, 3, 4, 5)}
    assert _files(cache) == kept


def test_a_reader_keeps_its_file_and_who_is_opening_one_its_name(cache, server, monkeypatch):
    monkeypatch.setenv(room.BOUND_VARIABLE, "300KB")
    (first_url, first), (second_url, second), (third_url, third) = (_serve(server, name) for name in "abc")
    held = cache.hold(first_url, _content(first))
    assert _read(cache, second_url, second) == second  # there is no room for both
    assert held.path.exists()
    with held.path.open("rb") as reader:
        held.release()
        assert not held.is_removed
        assert _read(cache, third_url, third) == third
        assert held.is_removed
        assert reader.read() == first
    held.close()


def test_a_file_that_is_larger_than_the_bound_works(cache, server, monkeypatch):
    monkeypatch.setenv(room.BOUND_VARIABLE, "1KB")
    for url, data in (_serve(server, name) for name in "aab"):
        assert _read(cache, url, data) == data
    assert len(_files(cache)) == 1


@pytest.mark.parametrize("words", ["50 Gb", "1.5GiB", "50000000000", " 7 "])
def test_bounds_are_given_in_bytes_or_units(tmp_path, monkeypatch, words):
    monkeypatch.setenv(room.BOUND_VARIABLE, words)
    expected = {"50 Gb": 50 * 10**9, "1.5GiB": 3 << 29, "50000000000": 50 * 10**9, " 7 ": 7}
    assert room.bound_of(tmp_path, 0) == expected[words]


def test_by_default_half_of_the_disk_that_is_free_is_used_and_nonsense_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv(room.BOUND_VARIABLE, raising=False)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert room.bound_of(tmp_path, 500) == 750
    monkeypatch.setenv(room.BOUND_VARIABLE, "much")
    with pytest.raises(DatasetError, match=r"LIT_PRECOMPUTE_CACHE_BYTES: must be a size such as 50GB, .*, got 'much'"):
        room.bound_of(tmp_path, 0)


def test_where_the_disk_is_full_others_make_room_and_then_it_is_an_error_that_names_the_file(
    cache, server, monkeypatch
):
    (first_url, first), (second_url, second) = (_serve(server, name) for name in "ab")
    _read(cache, first_url, first)
    write, left = os.pwrite, [1]

    def full(number, data, start):
        if left and start >= PIECE:
            left.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(number, data, start)

    monkeypatch.setattr("os.pwrite", full)
    assert _read(cache, second_url, second) == second
    assert _files(cache) == {hashlib.sha256(second).hexdigest()}
    left += [1] * 10
    with pytest.raises(OSError, match="No space left") as error:
        _read(cache, first_url, first)
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename.endswith(".part")
    left.clear()
    assert _read(cache, first_url, first) == first
