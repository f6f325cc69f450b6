"""Batches made ahead of their steps, by a thread."""

import queue
import threading
import time
from collections.abc import Callable, Generator

from lit_precompute.tune.data.batches import Batch, Batches

# How often a step is looked at while there is no batch for the next one.
_LOOK_EVERY_S = 0.002


def iterate(
    source: Batches,
    start_step: int,
    num_steps: int,
    *,
    ahead: int = 2,
    is_idle: Callable[[], bool] = lambda: True,
    waited: Callable[[float], None] = lambda seconds: None,
) -> Generator[Batch]:
    """Yields the batches of `num_steps` steps from a thread that keeps `ahead` of them ready.

    An error in the thread is raised here, at its step. Closing the iterator ends the thread.

    Args:
      source: the batches.
      start_step: the first step.
      num_steps: how many.
      ahead: how many are ready at once.
      is_idle: returns whether whoever asks for a batch has nothing else to do.
      waited: is called with the seconds of each wait during which that was so.
    """
    ready: queue.Queue[Batch | BaseException] = queue.Queue()
    room = threading.Semaphore(ahead)
    stopped = threading.Event()

    def produce() -> None:
        for step in range(start_step, start_step + num_steps):
            room.acquire()
            if stopped.is_set():
                return
            try:
                ready.put(source.batch(step))
            except BaseException as error:  # noqa: BLE001 -- raised again where the batch is requested
                ready.put(error)
                return

    thread = threading.Thread(target=produce, name="batches", daemon=True)
    thread.start()
    try:
        for _ in range(num_steps):
            batch = _take(ready, is_idle, waited)
            if isinstance(batch, BaseException):
                raise batch
            room.release()
            yield batch
    finally:
        stopped.set()
        room.release()
        thread.join()


def _take(
    ready: queue.Queue[Batch | BaseException], is_idle: Callable[[], bool], waited: Callable[[float], None]
) -> Batch | BaseException:
    """Returns what comes next; tells how long there was nothing else to do meanwhile."""
    idle_since_s: float | None = None
    while ready.empty() and idle_since_s is None:  # nobody else takes from it
        if is_idle():
            idle_since_s = time.perf_counter()
        else:
            time.sleep(_LOOK_EVERY_S)
    found = ready.get()
    if idle_since_s is not None:
        waited(time.perf_counter() - idle_since_s)
    return found
