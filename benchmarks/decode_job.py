"""The embedding job where decoding is the bottleneck: over a bare decoder, and over clip-retrieval's loader.

    python -m benchmarks.decode_job [--images N] [--peer PYTHON]      # the peer's environment is .venv-bench

JPEGs of 500 x 375 in tars of 500, to 224 x 224, with a tower that looks at no image. All use all cores:
- the job, with its default of a decoding thread for each core, and with processes; from its first batch to its last;
- the bare decoder: as many threads, and processes, that do nothing but decode by the fastest decoder whose bytes are
  equal, and resize, from files in memory; the images go nowhere;
- clip-retrieval's reader of webdatasets with the preprocessing that CLIP gives it (bicubic resize of the short side,
  central crop, normalised floats), with as many worker processes, two batches ahead; from its first batch to its last.
They take turns in several rounds; a result is the median over the rounds of the better job over the better floor.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import simplejpeg

from benchmarks import images, jobs
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.precompute.images.resizing import resize
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions

NUM_IMAGES, NUM_DISTINCT, BATCH_SIZE, ROUNDS = 4000, 200, 64, 3
PEER_PYTHON = ".venv-bench/bin/python"
GOAL_BARE, GOAL_PEER = 0.95, 1.0


@functools.cache
def photographs() -> list[bytes]:
    """Returns the images, which repeat."""
    return [images.jpeg(number) for number in range(NUM_DISTINCT)]


def prepare(number: int) -> None:
    """Decodes and resizes an image, and does nothing else."""
    data = photographs()[number % NUM_DISTINCT]
    resize(simplejpeg.decode_jpeg(data, "RGB", fastdct=True), jobs.SIDE, jobs.SIDE, method="bilinear", antialias=False)


def begin() -> None:
    """Initialises a process of the bare decoder as the job's processes are."""
    host_tensorflow().config.threading.set_intra_op_parallelism_threads(1)
    host_tensorflow().config.threading.set_inter_op_parallelism_threads(1)
    photographs()


def bare_rate(pool: concurrent.futures.Executor, num_images: int) -> float:
    """Returns images per second of a pool's threads or processes."""
    started_s = time.perf_counter()
    for _ in pool.map(prepare, range(num_images), chunksize=BATCH_SIZE):
        pass
    return num_images / (time.perf_counter() - started_s)


def job_rate(tars: pathlib.Path, tower: ImageTowerOptions, output: str, decode_in: str, num_rows: int) -> float:
    """Returns the job's images per second from its first batch to its last."""
    options = EmbedOptions(
        source=SourceSpec(str(tars)),
        tower=tower,
        output=output,
        batch_size=BATCH_SIZE,
        rows_per_shard=num_rows,
        decoding=DecodingOptions(decode_in=decode_in),  # pyright: ignore[reportArgumentType]
    )
    return jobs.run_job(options).rate.per_second


def peer_rate(python: str, tars: pathlib.Path, num_workers: int) -> float:
    """Returns images per second of clip-retrieval's loader from its first batch to its last."""
    command = [python, "-W", "ignore", "benchmarks/decode_job_peer.py", str(tars), str(BATCH_SIZE), str(num_workers)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    num_images, seconds = output.split()[-2:]
    return int(num_images) / float(seconds)


def main() -> int:
    """Prints rates and ratios; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    parser.add_argument(
        "--peer", default=PEER_PYTHON, help="a Python with torch, torchvision, webdataset, clip-retrieval"
    )
    asked = parser.parse_args()
    if not pathlib.Path(asked.peer).exists():
        sys.stderr.write(f"{asked.peer} is missing: `make bench` sets it up\n")
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rounds: list[dict[str, float]] = []
    names = ((f"{number:07d}.jpg", photographs()[number % NUM_DISTINCT]) for number in range(asked.images))
    with (
        tempfile.TemporaryDirectory() as name,
        concurrent.futures.ThreadPoolExecutor(cores) as threads,
        concurrent.futures.ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), begin) as processes,
    ):
        tars = pathlib.Path(name, "tars")
        tars.mkdir()
        jobs.write_tars(tars, names)
        tower = jobs.constant_tower(pathlib.Path(name, "weights.npz"))
        for pool in (threads, processes):
            bare_rate(pool, 4 * cores * BATCH_SIZE)  # imports
        for number in range(ROUNDS):
            rounds.append(
                {
                    "bare, threads": bare_rate(threads, asked.images),
                    "bare, processes": bare_rate(processes, asked.images),
                    "job, threads": job_rate(tars, tower, f"{name}/threads-{number}", "threads", asked.images),
                    "job, processes": job_rate(tars, tower, f"{name}/processes-{number}", "processes", asked.images),
                    "clip-retrieval": peer_rate(asked.peer, tars, cores),
                }
            )
    sys.stdout.write(f"{asked.images:,} JPEGs of 500 x 375 in tars to {jobs.SIDE} px, {cores} cores\n")
    for kind in rounds[0]:
        rates = sorted(round_[kind] for round_ in rounds)
        sys.stdout.write(f"  {kind:<16}{rates[0]:>7,.0f} to {rates[-1]:,.0f} images/s\n")
    best = [max(round_["job, threads"], round_["job, processes"]) for round_ in rounds]
    bare = [max(round_["bare, threads"], round_["bare, processes"]) for round_ in rounds]
    over_bare = statistics.median(job / each for job, each in zip(best, bare, strict=True))
    over_peer = statistics.median(job / round_["clip-retrieval"] for job, round_ in zip(best, rounds, strict=True))
    sys.stdout.write(
        f"  the job over the bare decoder {over_bare:.2f} (goal >= {GOAL_BARE}), over clip-retrieval's loader "
        f"{over_peer:.2f} (goal > {GOAL_PEER:g})\n"
    )
    return int(over_bare < GOAL_BARE or over_peer <= GOAL_PEER)


if __name__ == "__main__":
    sys.exit(main())
