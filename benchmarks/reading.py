"""Reading anywhere: tuning from a bucket over tuning from a disk, opening many shards, and a row by key.

    python -m benchmarks.reading

Tuning is an epoch with the text tower of the recipe `demo` and a memory budget of a quarter of the embeddings, so that
windows are read all the time; the bucket is in the tests' fake GCS, whose server shares the cores, and the cache is
empty before each run. Runs on the disk and from the bucket take turns, each in a process of its own; compared are the
medians of their pairs per second from the first step's wait for its window to the last step. Opening is of 10,000
shards of three tables, in a process of its own: seconds and memory beyond those of its imports. A row by key is one of
a million: from key to number to row, once the index is there.
"""

import argparse
import dataclasses
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, TowerCard, captions_table, labels_table
from lit_precompute.schemas.machine_cache import CACHE_VARIABLE
from tests.stores.servers import started

NUM_ROWS, WIDTH, ROWS_PER_SHARD, NUM_RUNS = 16_384, 1_280, 1_024, 3
NUM_SHARDS, NUM_KEYS, NUM_LOOKUPS = 10_000, 1_000_000, 100
GOAL_RATIO, GOAL_S, GOAL_MB, GOAL_LOOKUP_S = 0.95, 1.0, 100.0, 0.05
_SOURCE = SourceInfo(kind="table", path="none", files=[])


def write(place: str | pathlib.Path, num_rows: int, width: int, rows_per_shard: int, block_rows: int = 1_024) -> None:
    """Writes random embeddings, each with four random words and a label."""
    card = TowerCard(
        name="random numbers",
        architecture={},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=width,
        pooling="none",
        num_parameters=0,
        fingerprint="0" * 64,
    )
    tables = [captions_table(), labels_table()]
    rng = np.random.default_rng(0)
    with DatasetWriter(
        place, tower=card, source=_SOURCE, tables=tables, rows_per_shard=rows_per_shard, block_rows=block_rows
    ) as writer:
        for start in range(0, num_rows, 8_192):
            count = min(8_192, num_rows - start)
            words = rng.integers(0, 1_500, (count, 4)).tolist()
            writer.write(
                keys=[f"image-{start + row:012d}.jpg" for row in range(count)],
                embeddings=rng.standard_normal((count, width), np.float32),
                columns={
                    "captions": {"texts": [[" ".join(f"word{word}" for word in row)] for row in words]},
                    "labels": {"label": ["0"] * count},
                },
            )


def tune(dataset: str, output: str) -> None:
    """Trains for an epoch; prints pairs per second, the share of time that steps waited for data, and CPU seconds."""
    from lit_precompute.tune.model.options import ImageSideOptions
    from lit_precompute.tune.recipes import RECIPES
    from lit_precompute.tune.training.trainer import Trainer

    recipe = dataclasses.replace(
        RECIPES["demo"].recipe, num_epochs=1, image_side=ImageSideOptions(standardise=False), seed=1
    )
    execution = dataclasses.replace(RECIPES["demo"].execution, memory_budget_bytes=NUM_ROWS * WIDTH * 2 // 4)
    shares: list[float] = []
    with EmbeddingDataset.open(dataset, tables=["embeddings", "captions"]) as opened:
        trainer = Trainer(opened, recipe, output, execution)
        result = trainer.run(lambda progress: shares.append(progress.metrics["waiting_share"]))
    sys.stdout.write(f"{result.pairs_per_second} {shares[-1]} {time.process_time()}\n")


def opening(dataset: str) -> None:
    """Opens a dataset and prints the seconds, and the megabytes that the process has grown by."""
    before = _resident_mb()
    started_s = time.perf_counter()
    with EmbeddingDataset.open(dataset) as opened:
        seconds = time.perf_counter() - started_s
        sys.stdout.write(f"{seconds} {_resident_mb() - before} {opened.num_blocks}\n")


def _resident_mb() -> float:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(name: str, *arguments: str, cache: pathlib.Path) -> list[float]:
    """Returns the numbers that a function of this module prints in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.reading", "--child", name, *arguments]
    environment = {**os.environ, CACHE_VARIABLE: str(cache)}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return [float(number) for number in output.split()]


def measure_tuning(folder: pathlib.Path) -> float:
    """Prints the rates of tuning, and returns their ratio."""
    write(folder / "dataset", NUM_ROWS, WIDTH, ROWS_PER_SHARD)
    runs: dict[str, list[list[float]]] = {"disk": [], "bucket": []}
    with started("gs", "run_gcs.py") as server, server.selected():
        url = f"{server.make_bucket()}/dataset"
        write(url, NUM_ROWS, WIDTH, ROWS_PER_SHARD)
        for number in range(NUM_RUNS):
            for name, place in (("disk", str(folder / "dataset")), ("bucket", url)):
                here = folder / f"{name}-{number}"
                runs[name].append(child("tune", place, str(here / "run"), cache=here / "cache"))
    print(f"tuning: {NUM_ROWS:,} rows of {WIDTH:,} float16 in shards of {ROWS_PER_SHARD:,}, an epoch in windows")
    for name, found in runs.items():
        rates, shares, seconds = zip(*found, strict=True)
        print(
            f"  {name:<8}{min(rates):>8,.0f} to {max(rates):,.0f} pairs/s, waiting {max(shares):.1%} at most, ", end=""
        )
        print(f"{statistics.median(seconds):.0f} s of CPU")
    return statistics.median(bucket[0] / disk[0] for bucket, disk in zip(runs["bucket"], runs["disk"], strict=True))


def measure_lookups(folder: pathlib.Path) -> tuple[float, float]:
    """Returns the seconds of the first lookup, which makes the index, and the worst of the others."""
    write(folder / "keys", NUM_KEYS, 4, 65_536)
    draw = random.Random(0)
    seconds: list[float] = []
    with EmbeddingDataset.open(folder / "keys") as dataset:
        for row in [0, *(draw.randrange(NUM_KEYS) for _ in range(NUM_LOOKUPS))]:
            started_s = time.perf_counter()
            found = dataset.row(dataset.row_of(f"image-{row:012d}.jpg"))
            seconds.append(time.perf_counter() - started_s)
            assert found["key"] == f"image-{row:012d}.jpg"
    return seconds[0], statistics.median(seconds[1:])


def main() -> int:
    """Prints all figures; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description="Reading anywhere")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        {"tune": tune, "opening": opening}[asked.child[0]](*asked.child[1:])
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ[CACHE_VARIABLE] = str(folder / "cache")
        write(folder / "many", NUM_SHARDS, 4, 1, block_rows=1)
        seconds, megabytes, num_blocks = min(child("opening", str(folder / "many"), cache=folder) for _ in range(3))
        assert num_blocks == NUM_SHARDS
        first_s, lookup_s = measure_lookups(folder)
        ratio = measure_tuning(folder)
    print(f"  from a bucket over from a disk: {ratio:.2f} (goal >= {GOAL_RATIO:g})")
    print(
        f"opening {NUM_SHARDS:,} shards: {seconds:.2f} s (goal <= {GOAL_S:g}), {megabytes:.0f} MB (goal <= {GOAL_MB:g})"
    )
    print(f"a row by key of {NUM_KEYS:,}: {1000 * lookup_s:.1f} ms (goal <= {1000 * GOAL_LOOKUP_S:g}), ", end="")
    print(f"the first, which makes the index, {first_s:.1f} s")
    return int(ratio < GOAL_RATIO or seconds > GOAL_S or megabytes > GOAL_MB or lookup_s > GOAL_LOOKUP_S)


if __name__ == "__main__":
    sys.exit(main())
