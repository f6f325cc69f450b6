"""The embedding job's images per second on the demo's images, relative to the jitted tower on decoded arrays.

    python -m benchmarks.embed_job [--copies N] [--compute-type bfloat16] [--decode-in threads]

EfficientNet-Lite0 with its published weights, as in `make demo`: 1,603 emoji as PNG files, squeezed to 224 x 224, the
batch size chosen by a trial. The job is timed from its first finished batch to its last row, in the same process and on
the same device as the tower, which is timed before and after each of three jobs; the result is the median share of the
three. The time until the first batch is printed separately. On an accelerator, where the job would be too short to
measure, the table contains every image 25 times under different names, and the tower runs as long.
"""

import argparse
import dataclasses
import pathlib
import statistics
import sys
import tempfile
import time
from unittest import mock

import jax
import numpy as np

from demo import data
from lit_precompute.pipelines.embed import process_registry
from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.process_registry import PROCESS, JobProgress
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions

TOWER_IMAGES = 1024
COPIES_ON_ACCELERATOR = 25
NUM_JOBS = 3
GOAL_SHARE = 0.9


def repeat_table(folder: pathlib.Path, copies: int) -> pathlib.Path:
    """Returns a table of the demo's rows with every image `copies` times, each copy under its own folder name."""
    head, *rows = (folder / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    for copy in range(copies):
        (folder / f"pictures-{copy}").symlink_to(folder / "pictures", target_is_directory=True)
    lines = [row.replace("pictures/", f"pictures-{copy}/", 1) for copy in range(copies) for row in rows]
    table = folder / "repeated.tsv"
    table.write_text(head + "".join(lines), encoding="utf-8")
    return table


def tower_rate(embedder: Embedder, num_images: int) -> float:
    """Returns images per second of the tower alone, two batches in flight as in the job."""
    batch_size = embedder.batch_size
    images = np.random.default_rng(1).integers(0, 256, embedder.take_batch().shape, np.uint8)
    num_batches = -(-num_images // batch_size)
    np.asarray(embedder.start(images))
    started = time.perf_counter()
    waiting = [embedder.start(images)]
    for _ in range(num_batches - 1):
        waiting.append(embedder.start(images))
        np.asarray(waiting.pop(0))
    np.asarray(waiting.pop())
    return num_batches * batch_size / (time.perf_counter() - started)


class TimedProgress(JobProgress):
    """Records when each batch was finished, and its rows."""

    def __init__(self) -> None:
        """Starts empty."""
        super().__init__()
        self.marks: list[tuple[float, int]] = []

    def add(self, *, num_rows: int, num_failures: int) -> None:
        """Counts a batch and records the time."""
        super().add(num_rows=num_rows, num_failures=num_failures)
        self.marks.append((time.perf_counter(), num_rows))


def job_rate(launch: Launch) -> tuple[float, float]:
    """Returns the job's images per second after its first batch, and the seconds until then."""
    progress = TimedProgress()
    started = time.perf_counter()
    with mock.patch.object(process_registry, "JobProgress", lambda: progress):
        launch.run()
    first, last = progress.marks[0][0], progress.marks[-1][0]
    return sum(rows for _, rows in progress.marks[1:]) / (last - first), first - started


def main() -> int:
    """Prints the share; returns 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    on_cpu = jax.default_backend() == "cpu"
    parser.add_argument("--copies", type=int, default=1 if on_cpu else COPIES_ON_ACCELERATOR)
    parser.add_argument("--compute-type", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--decode-in", default="auto", choices=["auto", "threads", "processes"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data.prepare(pathlib.Path(folder))
        tower = ImageTowerOptions(name="efficientnet-lite0", resize="square", compute_type=asked.compute_type)
        decoding = DecodingOptions(decode_in=asked.decode_in)
        table = repeat_table(pathlib.Path(folder), asked.copies)
        options = EmbedOptions(source=SourceSpec(str(table)), tower=tower, output=f"{folder}/out", decoding=decoding)
        Launch(options)
        batch_size = JobDirectory(options.output).settled_batch_size()
        assert batch_size is not None
        embedder = PROCESS.embedder(tower, batch_size)
        sys.stdout.write(f"the demo's embedding job, efficientnet-lite0, batch {batch_size} by a trial\n")
        towers, shares = [tower_rate(embedder, asked.copies * TOWER_IMAGES)], []
        for number in range(NUM_JOBS):
            again = dataclasses.replace(options, output=f"{folder}/out-{number}", batch_size=batch_size)
            rate, set_up_s = job_rate(Launch(again))
            towers.append(tower_rate(embedder, asked.copies * TOWER_IMAGES))
            shares.append(rate / statistics.mean(towers[-2:]))
            sys.stdout.write(
                f"  job {rate:,.0f} images/s ({set_up_s:.1f} s to the first batch), tower alone {towers[-2]:,.0f} "
                f"before and {towers[-1]:,.0f} after: {shares[-1]:.2f}\n"
            )
    share = statistics.median(shares)
    sys.stdout.write(f"  share of the bare tower {share:.2f}, the median (goal >= {GOAL_SHARE})\n")
    return int(share < GOAL_SHARE)


if __name__ == "__main__":
    sys.exit(main())
