"""The embedding job where decoding is the bottleneck: over a bare decoder, and over clip-retrieval's loader.

    python -m benchmarks.decode_job [--images N] [--peer PYTHON]      # the peer's environment is .venv-bench

JPEGs of 500 x 375 in tars of 500, to 224 x 224, with a tower that looks at no image. All use all cores:
- the job, with its default of a decoding thread for each core, and with processes; from its first batch to its last;
- the bare decoder: as many threads that do nothing but decode by the fastest decoder whose bytes are equal, and resize,
  from files in memory;
- clip-retrieval's reader of webdatasets with the preprocessing that CLIP gives it (bicubic resize of the short side,
  central crop, normalised floats), with as many worker processes, two batches ahead; from its first batch to its last.
They take turns in several rounds; a result is the median ratio of the rounds.
"""

import argparse
import concurrent.futures
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
from lit_precompute.precompute.images.resizing import resize
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions

NUM_IMAGES, NUM_DISTINCT, BATCH_SIZE, ROUNDS = 4000, 200, 64, 3
PEER_PYTHON = ".venv-bench/bin/python"
GOAL_BARE, GOAL_PEER = 0.95, 1.0


def bare_rate(data: list[bytes], num_threads: int) -> float:
    """Returns images per second of threads that decode and resize, and do nothing else."""

    def prepare(each: bytes) -> None:
        resize(
            simplejpeg.decode_jpeg(each, "RGB", fastdct=True), jobs.SIDE, jobs.SIDE, method="bilinear", antialias=False
        )

    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(prepare, data[:BATCH_SIZE]))
        started_s = time.perf_counter()
        list(pool.map(prepare, data))
    return len(data) / (time.perf_counter() - started_s)


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
    some = [images.jpeg(number) for number in range(NUM_DISTINCT)]
    data = [some[number % NUM_DISTINCT] for number in range(asked.images)]
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        tars = pathlib.Path(name, "tars")
        tars.mkdir()
        jobs.write_tars(tars, ((f"{number:07d}.jpg", each) for number, each in enumerate(data)))
        tower = jobs.constant_tower(pathlib.Path(name, "weights.npz"))
        for number in range(ROUNDS):
            rounds.append(
                {
                    "bare decoder": bare_rate(data, cores),
                    "job, threads": job_rate(tars, tower, f"{name}/threads-{number}", "threads", asked.images),
                    "job, processes": job_rate(tars, tower, f"{name}/processes-{number}", "processes", asked.images),
                    "clip-retrieval": peer_rate(asked.peer, tars, cores),
                }
            )
    sys.stdout.write(f"{asked.images:,} JPEGs of 500 x 375 in tars to {jobs.SIDE} px, {cores} cores\n")
    for kind in rounds[0]:
        rates = sorted(round_[kind] for round_ in rounds)
        sys.stdout.write(f"  {kind:<15}{rates[0]:>7,.0f} to {rates[-1]:,.0f} images/s\n")
    best = [max(round_["job, threads"], round_["job, processes"]) for round_ in rounds]
    over_bare = statistics.median(job / round_["bare decoder"] for job, round_ in zip(best, rounds, strict=True))
    over_peer = statistics.median(job / round_["clip-retrieval"] for job, round_ in zip(best, rounds, strict=True))
    sys.stdout.write(
        f"  the job over the bare decoder {over_bare:.2f} (goal >= {GOAL_BARE}), over clip-retrieval's loader "
        f"{over_peer:.2f} (goal > {GOAL_PEER:g})\n"
    )
    return int(over_bare < GOAL_BARE or over_peer <= GOAL_PEER)


if __name__ == "__main__":
    sys.exit(main())
