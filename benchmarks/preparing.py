"""Images prepared ahead of the device in threads and in processes, relative to one thread times the cores.

    python -m benchmarks.preparing [--workers N ...]

The demo's emoji as PNG files, read, decoded and squeezed to 224 x 224, without a tower. The time that the main process
spends on each image from its worker processes limits how many images it can feed to an accelerator. Threads are
measured with the same number of workers, in alternation; each figure is the median of five.
"""

import argparse
import functools
import os
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

from demo import data
from lit_precompute.precompute.images.ahead import Preparer, PreparingThreads
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.sources.files import read_image
from lit_precompute.schemas.storage import open_file
from lit_precompute.towers.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size=224)
ROUNDS = 5
AHEAD = 512
MOST_OWN_US = 100


def rate(preparer: Preparer, files: list[str]) -> tuple[float, float]:
    """Returns images per second, and this process's own CPU time per image in microseconds."""
    started, own_started = time.perf_counter(), time.process_time()
    slot = None
    reads = (KeyedRead(file, functools.partial(read_image, open_file, file)) for file in files)
    for (image,) in preparer.prepare(reads):
        assert isinstance(image, np.ndarray)
        slot = image.copy() if slot is None else slot
        slot[:] = image  # as when filling a batch
    seconds, own_seconds = time.perf_counter() - started, time.process_time() - own_started
    return len(files) / seconds, 1e6 * own_seconds / len(files)


def alone(files: list[str]) -> float:
    """Returns images per second of a single thread."""
    started = time.perf_counter()
    for file in files:
        load(read_image(open_file, file), PREPROCESSING)
    return len(files) / (time.perf_counter() - started)


def compare(files: list[str], num_workers: int) -> float:
    """Prints the rates; returns this process's own microseconds per image from processes."""
    threads = PreparingThreads([PREPROCESSING], num_workers=num_workers, ahead=AHEAD)
    processes = PreparingProcesses([PREPROCESSING], num_workers=num_workers, ahead=AHEAD)
    rate(threads, files), rate(processes, files)  # warm-up
    rounds = [(alone(files), rate(threads, files), rate(processes, files)) for _ in range(ROUNDS)]
    processes.close()
    one = statistics.median(round_[0] for round_ in rounds)
    by_threads, by_processes = (statistics.median(round_[kind][0] for round_ in rounds) for kind in (1, 2))
    own_us = statistics.median(round_[2][1] for round_ in rounds)
    cores = min(num_workers, os.cpu_count() or 1)
    sys.stdout.write(
        f"  {num_workers} workers: one thread alone {one:,.0f} images/s, threads {by_threads:,.0f} "
        f"({by_threads / one / cores:.2f} of it a core), processes {by_processes:,.0f} "
        f"({by_processes / one / cores:.2f}), of this process's own core {own_us:.0f} us each\n"
    )
    return own_us


def main() -> int:
    """Compares; returns 1 if the goal is missed."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[cores, 16])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data.prepare(pathlib.Path(folder))
        files = [str(file) for file in sorted((pathlib.Path(folder) / "pictures").iterdir())]
        sys.stdout.write(f"preparing {len(files):,} emoji at 224 px on {cores} cores\n")
        own_us = max(compare(files, num_workers) for num_workers in options.workers)
    sys.stdout.write(f"  one process can take {1e6 / own_us:,.0f} images/s (goal >= {1e6 / MOST_OWN_US:,.0f})\n")
    return int(own_us > MOST_OWN_US)


if __name__ == "__main__":
    sys.exit(main())
