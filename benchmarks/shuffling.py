"""Shuffling a dataset, relative to copying its files.

    python -m benchmarks.shuffling

200,000 rows of 768 in float16 with a caption each. The floor is a plain copy of the files, without any check, each
written to the disk (fsync) as ours are. Ours reads, checks and writes every row twice, and hashes it once. Three
rounds, interleaved. There is no goal: how much of a disk's rate remains depends on how fast the disk is.
"""

import os
import pathlib
import resource
import shutil
import statistics
import sys
import tempfile
import time

import numpy as np

from benchmarks.duplicates import WIDTH, card
from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
from lit_precompute.schemas import DatasetWriter, SourceInfo, captions_table

ROWS, ROUNDS = 200_000, 3
_BATCH = 10_000


def write(path: pathlib.Path) -> None:
    """Writes random rows."""
    generator = np.random.default_rng(0)
    source = SourceInfo(kind="random", path="", files=[])
    with DatasetWriter(path, tower=card(), source=source, tables=[captions_table()]) as writer:
        for start in range(0, ROWS, _BATCH):
            keys = [f"{start + place:09d}" for place in range(_BATCH)]
            texts = [[f"a photograph of the object with the number {key}"] for key in keys]
            rows = generator.standard_normal((_BATCH, WIDTH), np.float32)
            writer.write(keys=keys, embeddings=rows, columns={"captions": {"texts": texts}})


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a folder, file by file."""
    for path in source.rglob("*"):
        if path.is_file():
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
            with copied.open("rb+") as file:
                os.fsync(file.fileno())


def main() -> None:
    """Prints the rates."""
    rates: dict[str, list[float]] = {"copy": [], "ours": []}
    by_cpu: dict[str, list[float]] = {"copy": [], "ours": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write(folder / "rows")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(ROUNDS):
            for kind, found in rates.items():
                started, cpu_started = time.perf_counter(), time.process_time()
                if kind == "copy":
                    copy(folder / "rows", folder / kind)
                else:
                    options = ShuffleOptions(dataset=str(folder / "rows"), output=str(folder / kind), seed=number)
                    shuffle(options)
                found.append(ROWS / (time.perf_counter() - started))
                by_cpu[kind].append(ROWS / (time.process_time() - cpu_started))
                shutil.rmtree(folder / kind)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    (floor, ours), (cpu_floor, cpu_ours) = ([statistics.median(each) for each in of.values()] for of in (rates, by_cpu))
    sys.stdout.write(
        f"plain copy: {floor:,.0f} rows/s, {cpu_floor:,.0f} per CPU second\n"
        f"shuffle: {ours:,.0f} rows/s, {ours / floor:.2f} of it; {cpu_ours:,.0f} per CPU second, "
        f"{cpu_ours / cpu_floor:.2f} of it; {grown:,.0f} MiB above the peak of writing the dataset\n"
    )


if __name__ == "__main__":
    main()
