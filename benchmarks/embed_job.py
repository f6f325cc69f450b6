"""The embedding job's images per second where the device is the bottleneck, relative to the jitted tower on arrays.

    python -m benchmarks.embed_job [--towers NAME ...] [--images N] [--photographs] [--compute-type bfloat16]
    python -m benchmarks.embed_job --towers vit_b16 --photographs       # on a GPU: 500 px JPEGs, bfloat16

A cheap tower, EfficientNet-Lite0, and a costly one, ViT-B/16, with random weights, on tars of the demo's emoji (PNG) or
of JPEGs of 500 x 375, on disk and on the tests' fake GCS, where the dataset is written, too. The job is timed from its
first finished batch to its last, in the same process and on the same device as the tower, which is timed before and
after each of three jobs; the result is the median share of the three. On CPUs, where decoding takes its share of the
device, CPU seconds are compared, too: other programs on the machine disturb these less, and the better one counts.
"""

import argparse
import itertools
import pathlib
import statistics
import sys
import tempfile
import time

import jax
import numpy as np

from benchmarks import images, jobs
from demo import data
from lit_precompute.commands.huge_pages import restart_with_huge_pages
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions

TOWERS = ("efficientnet-lite0", "vit_b16")
# Images of each job by tower, for some ten seconds on two cores; an accelerator gets 200 times as many.
NUM_IMAGES = {"efficientnet-lite0": 768}
OTHERS_IMAGES, ON_ACCELERATOR = 64, 200
NUM_JOBS, NUM_PHOTOGRAPHS = 3, 256
GOAL_SHARE, GOAL_ON_ACCELERATOR = 0.95, 0.9


def encoded(folder: pathlib.Path, count: int, *, photographs: bool) -> list[tuple[str, bytes]]:
    """Returns names and bytes of images; those that there are repeat."""
    if photographs:
        some = [images.jpeg(number) for number in range(min(count, NUM_PHOTOGRAPHS))]
    else:
        data.prepare(folder)
        some = [path.read_bytes() for path in sorted((folder / "pictures").iterdir())]
    ending = "jpg" if photographs else "png"
    return [
        (f"{number:07d}.{ending}", each) for number, each in enumerate(itertools.islice(itertools.cycle(some), count))
    ]


def tower_rate(embedder: Embedder, num_images: int) -> jobs.Rate:
    """Returns the rate of the tower alone, two batches in flight as in the job."""
    batch_size = embedder.batch_size
    batch = embedder.take_batch()
    batch[:] = np.random.default_rng(1).integers(0, 256, batch.shape, np.uint8)
    num_batches = max(2, num_images // batch_size)
    np.asarray(embedder.start(batch))
    started_s, cpu_s = time.perf_counter(), time.process_time()
    waiting = [embedder.start(batch)]
    for _ in range(num_batches - 1):
        waiting.append(embedder.start(batch))
        np.asarray(waiting.pop(0))
    np.asarray(waiting.pop())
    count = num_batches * batch_size
    return jobs.Rate(count / (time.perf_counter() - started_s), count / (time.process_time() - cpu_s))


def compare(where: str, options: EmbedOptions, num_images: int) -> tuple[float, float]:
    """Prints the rates; returns the median share of the tower's, by the clock and by CPU time."""
    assert options.batch_size
    embedder = PROCESS.embedder(options.tower, options.batch_size)
    tower_rate(embedder, options.batch_size)
    towers, runs = [tower_rate(embedder, num_images // 2)], []
    for number in range(NUM_JOBS):
        runs.append(jobs.run_job(with_output(options, f"{options.output}-{number}")))
        towers.append(tower_rate(embedder, num_images // 2))
    pairs = [(run.rate, *towers[number : number + 2]) for number, run in enumerate(runs)]
    shares = [2 * job.per_second / (before.per_second + after.per_second) for job, before, after in pairs]
    cpu_shares = [
        2 * job.per_cpu_second / (before.per_cpu_second + after.per_cpu_second) for job, before, after in pairs
    ]
    share, cpu_share = statistics.median(shares), statistics.median(cpu_shares)
    rates = sorted(run.rate.per_second for run in runs)
    alone = sorted(rate.per_second for rate in towers)
    sys.stdout.write(
        f"  {options.tower.name:<19}{where:<9} job {rates[0]:,.0f} to {rates[-1]:,.0f} images/s, tower alone "
        f"{alone[0]:,.0f} to {alone[-1]:,.0f}: {share:.2f}, by CPU time {cpu_share:.2f}; first batch after "
        f"{min(run.until_first_s for run in runs):.1f} s, end {min(run.after_last_s for run in runs):.1f} s after the "
        "last\n"
    )
    sys.stdout.flush()
    return share, cpu_share


def with_output(options: EmbedOptions, output: str) -> EmbedOptions:
    """Returns the same job with another output."""
    return EmbedOptions(
        source=options.source,
        tower=options.tower,
        output=output,
        batch_size=options.batch_size,
        rows_per_shard=options.rows_per_shard,
        decoding=options.decoding,
    )


def main() -> int:
    """Prints the shares; returns 1 if the goal is missed."""
    on_cpu = jax.default_backend() == "cpu"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--towers", nargs="+", default=TOWERS)
    parser.add_argument("--images", type=int, help="of each job")
    parser.add_argument("--photographs", action="store_true", help="JPEGs of 500 x 375 instead of emoji")
    parser.add_argument("--compute-type", default="float32" if on_cpu else "bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--decode-in", default="auto", choices=["auto", "threads", "processes"])
    parser.add_argument("--batch-size", type=int, default=16 if on_cpu else 256)
    asked = parser.parse_args()
    goal = GOAL_SHARE if on_cpu else GOAL_ON_ACCELERATOR
    sys.stdout.write(
        f"the embedding job over the bare tower, {'photographs' if asked.photographs else 'emoji'}, batches of "
        f"{asked.batch_size}, {asked.compute_type} on {jax.devices()[0].device_kind} (goal >= {goal})\n"
    )
    worst = 1.0
    with jobs.without_weights() as weights:
        for name in asked.towers:
            count = asked.images or NUM_IMAGES.get(name, OTHERS_IMAGES) * (1 if on_cpu else ON_ACCELERATOR)
            tower = ImageTowerOptions(name=name, weights=weights, resize="square", compute_type=asked.compute_type)
            with tempfile.TemporaryDirectory() as folder:
                tars = pathlib.Path(folder, "tars")
                tars.mkdir()
                files = jobs.write_tars(tars, encoded(pathlib.Path(folder), count, photographs=asked.photographs))
                with jobs.fake_gcs(files) as bucket:
                    places = {"disk": (str(tars), f"{folder}/out"), "fake GCS": (f"{bucket}/source", f"{bucket}/out")}
                    for where, (source, output) in places.items():
                        options = EmbedOptions(
                            source=SourceSpec(source),
                            tower=tower,
                            output=output,
                            batch_size=asked.batch_size,
                            rows_per_shard=max(asked.batch_size, count // 2),
                            decoding=DecodingOptions(decode_in=asked.decode_in),
                        )
                        worst = min(
                            worst, max(compare(where, options, count)) if on_cpu else compare(where, options, count)[0]
                        )
    return int(worst < goal)


if __name__ == "__main__":
    restart_with_huge_pages()  # as lit-embed does
    sys.exit(main())
