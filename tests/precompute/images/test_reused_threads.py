"""Threads are used again, any number at once, and end when nothing comes."""

import threading

from lit_precompute.precompute.images import reused_threads
from lit_precompute.precompute.images.reused_threads import ReusedThreads


def _run(threads, function):
    """Runs a function and waits for its end; returns its thread."""
    ended, found = threading.Event(), []

    def work():
        found.append(threading.current_thread())
        function()
        ended.set()

    threads.run(work)
    assert ended.wait(60)
    return found[0]


def test_an_idle_thread_is_used_again():
    threads = ReusedThreads("worker")
    first = _run(threads, lambda: None)
    assert first.daemon and first.name == "worker"
    # Until it is idle, others are started.
    assert any(_run(threads, lambda: None) is first for _ in range(1000))


def test_what_is_given_begins_at_once_however_many_are_busy():
    threads, all_here = ReusedThreads("worker"), threading.Barrier(6)
    for _ in range(5):
        threads.run(lambda: all_here.wait(60))
    all_here.wait(60)


def test_many_at_once_are_all_run():
    threads, counted = ReusedThreads("worker"), threading.Semaphore(0)
    for _ in range(500):
        threads.run(counted.release)
    for _ in range(500):
        assert counted.acquire(timeout=60)


def test_an_idle_thread_ends(monkeypatch):
    monkeypatch.setattr(reused_threads, "_IDLE_S", 0.05)
    threads = ReusedThreads("worker")
    thread = _run(threads, lambda: None)
    thread.join(60)
    assert not thread.is_alive()
    assert _run(threads, lambda: None) is not thread
