"""Files to be written to one folder, many at once, each only if it is not there yet.

Promises: at the end all of them are there for good: flushed to the disk, or with the size that the store's listing must
show. Only the tasks of one folder are in memory, and its listing; the first error ends the work once the files under
way are done, so that running it again goes on from there.
"""

import concurrent.futures
import dataclasses
import errno
import itertools
import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from lit_precompute.schemas.storage import Batch, Folder, StorageError

# As many to begin with. Where processors are the bottleneck, more are slower: threads wait for Python's lock.
_TASKS_AT_FIRST = 4
_BUSY = 0.4  # of the processors
# At files that a store cuts short.
_ATTEMPTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileTask:
    """A file to be written.

    Attributes:
      name: in the folder.
      num_bytes: its size; of a file that is made anew, that of the file that it is made from.
      is_known: whether a file of this name and size is the one, and need not be written again.
      write: writes it to the folder's batch.
    """

    name: str
    num_bytes: int
    is_known: bool = True
    write: Callable[[Batch], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyProgress:
    """How far a copy is.

    Attributes:
      num_files: files that are there.
      all_files: all of them.
      num_bytes: of those that are there.
      all_bytes: of all.
      bytes_before: of those that were there when it began.
    """

    num_files: int = 0
    all_files: int = 0
    num_bytes: int = 0
    all_bytes: int = 0
    bytes_before: int = 0

    def plus(self, task: FileTask, *, was_there: bool) -> "CopyProgress":
        """Returns the progress with one more file."""
        return dataclasses.replace(
            self,
            num_files=self.num_files + 1,
            num_bytes=self.num_bytes + task.num_bytes,
            bytes_before=self.bytes_before + (task.num_bytes if was_there else 0),
        )


def carry_out(
    folder: Folder,
    tasks: Iterable[tuple[str, Iterable[FileTask]]],
    progress: CopyProgress,
    report: Callable[[CopyProgress], None],
    num_threads: int,
) -> CopyProgress:
    """Writes files; returns the progress at the end.

    Args:
      folder: where to.
      tasks: by folder within it, each of which is listed once.
      progress: at the beginning.
      report: called after each file.
      num_threads: files to write at once.
    """
    report(progress)
    with folder.batch() as batch, concurrent.futures.ThreadPoolExecutor(num_threads) as threads:
        for name, some in tasks:
            there = folder.find(name)
            missing: list[FileTask] = []
            for task in some:
                found = there.get(task.name.removeprefix(f"{name}/"))
                if task.is_known and found is not None and found.num_bytes == task.num_bytes:
                    progress = progress.plus(task, was_there=True)
                else:
                    missing.append(task)
            report(progress)
            for task in _done(threads, missing, batch, num_threads):
                progress = progress.plus(task, was_there=False)
                report(progress)
            _settle(threads, name, missing, batch, num_threads)
    return progress


def _settle(
    threads: concurrent.futures.Executor, name: str, tasks: Sequence[FileTask], batch: Batch, num_threads: int
) -> None:
    """Makes sure that files are there for good; writes again what a store cut short."""
    for _ in range(_ATTEMPTS):
        if not (wrong := batch.settle(name)):
            return
        for _ in _done(threads, (task for task in tasks if task.name in wrong), batch, num_threads):
            pass
    if wrong := batch.settle(name):
        words = f"the store has other bytes than it was sent, after {_ATTEMPTS + 1} attempts"
        raise StorageError(errno.EIO, words, f"{batch.path}/{min(wrong)}")


def _done(
    threads: concurrent.futures.Executor, tasks: Iterable[FileTask], batch: Batch, num_threads: int
) -> Iterator[FileTask]:
    """Yields each task when it is done."""
    waiting, load = iter(tasks), _Load()
    running = set[concurrent.futures.Future[None]]()
    done = queue.SimpleQueue[tuple[concurrent.futures.Future[None], FileTask]]()

    def start(num_tasks: int) -> None:
        for task in itertools.islice(waiting, num_tasks):
            future = threads.submit(task.write, batch)
            running.add(future)
            future.add_done_callback(lambda each, task=task: done.put((each, task)))

    try:
        start(min(_TASKS_AT_FIRST, num_threads))
        while running:
            future, task = done.get()
            running.remove(future)
            future.result()
            start(1)
            if len(running) < num_threads and not load.is_high():
                start(1)
            yield task
    finally:
        for future in running:
            future.cancel()


class _Load:
    """How busy this process keeps the processors."""

    def __init__(self) -> None:
        self._since_s, self._cpu_s = time.monotonic(), time.process_time()
        self._high = _BUSY * (os.cpu_count() or 1)

    def is_high(self) -> bool:
        """Returns whether it was so since the beginning that more threads would not help."""
        seconds, cpu_s = time.monotonic() - self._since_s, time.process_time() - self._cpu_s
        return cpu_s > self._high * seconds
