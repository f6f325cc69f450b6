"""Rows per second of `lit-data export` and `import` by layout, over `np.save` and `np.load` of the same vectors.

    python -m benchmarks.exchange [--rows N]

The dataset has vectors of 512 float16, keys, and a text a row, as clip-retrieval's have; files are in the page cache.
What is written is flushed to the disk, as is what `np.save` writes here. Each figure is the best of three. On a busy
machine, rows for each second of a core say more.
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from lit_precompute.precompute.exchange.exporting import export_dataset
from lit_precompute.precompute.exchange.importing import Declared, import_dataset
from lit_precompute.precompute.exchange.registry import LAYOUTS
from lit_precompute.schemas import DatasetWriter, SourceInfo, TowerCard, captions_table

WIDTH, NUM_PASSES, ROWS_PER_SHARD = 512, 3, 65_536


def write_dataset(folder: pathlib.Path, num_rows: int) -> np.ndarray:
    """Writes a dataset, and returns its vectors."""
    vectors = np.random.default_rng(0).standard_normal((num_rows, WIDTH), np.float32).astype(np.float16)
    source, tower = SourceInfo(kind="table", path="none", files=[]), TowerCard.declare("random numbers", WIDTH)
    with DatasetWriter(folder, tower=tower, source=source, tables=[captions_table()]) as writer:
        keys = [f"images/{row:09d}.jpg" for row in range(num_rows)]
        texts = [[f"the text of the image of number {row}"] for row in range(num_rows)]
        writer.write(keys=keys, embeddings=vectors, columns={"captions": {"texts": texts}})
    return vectors


def seconds(work: Callable[[], object], clean: Callable[[], object]) -> tuple[float, float]:
    """Returns the least time that a piece of work takes, each time anew, and the least time of the processor."""
    elapsed: list[float] = []
    used: list[float] = []
    for _ in range(NUM_PASSES):
        clean()
        started_s, used_s = time.perf_counter(), time.process_time()
        work()
        elapsed.append(time.perf_counter() - started_s)
        used.append(time.process_time() - used_s)
    return min(elapsed), min(used)


def save(path: pathlib.Path, vectors: np.ndarray) -> None:
    """Writes vectors as NumPy does, flushed to the disk."""
    with path.open("wb") as file:
        np.save(file, vectors)
        file.flush()
        os.fsync(file.fileno())


def main() -> int:
    """Prints the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    num_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        vectors = write_dataset(folder / "dataset", num_rows)
        floor = seconds(lambda: save(folder / "a.npy", vectors), lambda: (folder / "a.npy").unlink(missing_ok=True))
        read = seconds(lambda: np.load(folder / "a.npy"), lambda: None)
        sys.stdout.write(f"{num_rows:,} rows of {WIDTH} float16\n")
        sys.stdout.write(f"np.save: {num_rows / floor[0]:,.0f} rows/s; np.load: {num_rows / read[0]:,.0f} rows/s\n")
        for layout in LAYOUTS.values():
            if layout.writing is None or layout.reading is None:
                continue
            foreign, back, writing, reading = folder / "foreign", folder / "back", layout.writing, layout.reading

            def write() -> None:
                export_dataset(str(folder / "dataset"), layout, writing.options(), foreign)  # noqa: B023 -- at once

            def take() -> None:
                source = reading.open(str(foreign), reading.options(), ROWS_PER_SHARD)  # noqa: B023 -- at once
                import_dataset(source, back, Declared(tower="random numbers"))  # noqa: B023 -- at once

            out = seconds(write, lambda: shutil.rmtree(foreign, ignore_errors=True))  # noqa: B023 -- at once
            into = seconds(take, lambda: shutil.rmtree(back, ignore_errors=True))  # noqa: B023 -- at once
            for words, (elapsed_s, used_s) in (("out", out), ("in", into)):
                sys.stdout.write(
                    f"{layout.name} {words}: {num_rows / elapsed_s:,.0f} rows/s ({floor[0] / elapsed_s:.2f} of "
                    f"np.save), {num_rows / used_s:,.0f} rows a second of one core\n"
                )
            sys.stdout.flush()
            shutil.rmtree(foreign)
    return 0


if __name__ == "__main__":
    sys.exit(main())
