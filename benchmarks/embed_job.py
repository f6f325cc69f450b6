"""The embedding job's pictures per second on the demo's pictures, over the bare jitted tower on decoded arrays.

    python -m benchmarks.embed_job

EfficientNet-Lite0 with its published weights as `make demo` runs it: 1,603 emoji as PNG files, squeezed to 224 x 224,
the batch size chosen by trial. The job is timed from its first finished batch to its last row, in the same process and
on the same device as the tower, whose batches are timed before and after it; the seconds until the first batch are
printed apart.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

from benchmarks.demo import data
from pipelines.counters import COUNTERS
from pipelines.embed_job import plan, run
from pipelines.embed_unit import load_embedder
from pipelines.failure_limit import FailureLimit
from pipelines.job import JobDirectory
from pipelines.options import JobOptions, TowerOptions
from precompute.embedder import Embedder

TOWER_PICTURES = 512
GOAL_SHARE = 0.9


def tower_rate(embedder: Embedder) -> float:
    """Returns pictures per second of the tower alone, two batches in flight as in the job."""
    size, batch_size = embedder.tower.preprocessing.size, embedder.batch_size
    images = list(np.random.default_rng(1).integers(0, 256, (batch_size, size, size, 3), np.uint8))
    num_batches = -(-TOWER_PICTURES // batch_size)
    np.asarray(embedder.start(images))
    started = time.perf_counter()
    waiting = [embedder.start(images)]
    for _ in range(num_batches - 1):
        waiting.append(embedder.start(images))
        np.asarray(waiting.pop(0))
    np.asarray(waiting.pop())
    return num_batches * batch_size / (time.perf_counter() - started)


def job_rate(options: JobOptions, planned: tuple) -> tuple[float, float]:
    """Returns the job's pictures per second after its first batch, and the seconds until then."""
    marks: list[tuple[float, int]] = []
    add = COUNTERS.add

    def add_and_note(*, num_rows: int, num_failures: int) -> None:
        add(num_rows=num_rows, num_failures=num_failures)
        marks.append((time.perf_counter(), num_rows))

    COUNTERS.add = add_and_note
    started = time.perf_counter()
    job, source, units = planned
    JobDirectory(options.output).claim(job)
    run(options, job, source, units, FailureLimit(None), ["--runner=FnApiRunner"])
    COUNTERS.add = add
    first, last = marks[0][0], marks[-1][0]
    return sum(rows for _, rows in marks[1:]) / (last - first), first - started


def main() -> int:
    """Prints the share; returns 1 where the goal is missed."""
    with tempfile.TemporaryDirectory() as folder:
        data.prepare(pathlib.Path(folder))
        tower = TowerOptions(tower="efficientnet-lite0", resize="square")
        options = JobOptions(source=f"{folder}/train.tsv", tower=tower, output=f"{folder}/out", decode_threads=2)
        planned = plan(options)
        embedder = load_embedder(tower, planned[0].batch_size)
        before = tower_rate(embedder)
        job, set_up_s = job_rate(options, planned)
        after = tower_rate(embedder)
    share = job / statistics.mean((before, after))
    sys.stdout.write(f"the demo's embedding job, efficientnet-lite0, batch {embedder.batch_size} by trial\n")
    sys.stdout.write(f"  tower alone {before:,.0f} and {after:,.0f} pictures/s (before and after)\n")
    sys.stdout.write(f"  job {job:,.0f} pictures/s; {set_up_s:.1f} s to the first batch\n")
    sys.stdout.write(f"  share of the bare tower {share:.2f} (goal >= {GOAL_SHARE})\n")
    return int(share < GOAL_SHARE)


if __name__ == "__main__":
    sys.exit(main())
