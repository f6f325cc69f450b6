"""The start of lit-tune: seconds from the command to the first finished step, and peak memory, on a small dataset.

    python -m benchmarks.tune_start

1,602 rows of 1,280 float16 with texts and the recipe `demo`, like the demo itself. Each start is a new process; the
best of three counts. Two floors are measured in the same run: a process that only imports JAX, Flax, optax
and pyarrow, and one step of this training; no start can be faster than their sum. The last start reuses what XLA
compiled before (JAX_COMPILATION_CACHE_DIR).
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from lit_precompute.schemas import DatasetWriter, SourceInfo, TowerCard, captions_table

NUM_ROWS, WIDTH, NUM_WORDS = 1_602, 1_280, 1_500
IMPORTS = "import jax, flax.nnx, optax, pyarrow"


def write_dataset(folder: pathlib.Path) -> None:
    """Writes random embeddings, each with four random words."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, NUM_WORDS, (NUM_ROWS, 4))
    card = TowerCard(
        name="random numbers",
        architecture={},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=WIDTH,
        pooling="none",
        num_parameters=0,
        fingerprint="0" * 64,
    )
    source = SourceInfo(kind="table", path="none", files=[])
    with DatasetWriter(folder, tower=card, source=source, tables=[captions_table()]) as writer:
        writer.write(
            keys=[str(row) for row in range(NUM_ROWS)],
            embeddings=rng.standard_normal((NUM_ROWS, WIDTH), np.float32),
            columns={"captions": {"texts": [[" ".join(f"word{word}" for word in row)] for row in words]}},
        )


def seconds_to_import() -> float:
    """Returns the seconds of a process that does nothing but import."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - begin


def start(dataset: pathlib.Path, output: pathlib.Path, **environment: str) -> tuple[float, float]:
    """Runs lit-tune for an epoch; returns seconds to the first finished step, and seconds of a later step."""
    command = [sys.executable, "-m", "lit_precompute", "tune", "--recipe", "demo"]
    command += ["--dataset", str(dataset), "--output", str(output)]
    command += ["--num-steps", "4", "--optimizer.warmup-steps", "1", "--log-every-steps", "1"]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    metrics = output / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.005)
    seconds = time.perf_counter() - begin
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"lit-tune failed: {errors.decode()}")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    batch_size = json.loads((output / "run.json").read_text())["recipe"]["batch_size"]
    return seconds, batch_size / lines[-1]["pairs_per_second"]


def main() -> int:
    """Prints the figures; there is no goal."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_dataset(folder / "dataset")
        imports = min(seconds_to_import() for _ in range(3))
        starts = [start(folder / "dataset", folder / f"run{number}") for number in range(3)]
        # The largest child, in kilobytes on Linux, in bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        start(folder / "dataset", folder / "run-fills", **cache)
        cached, _ = start(folder / "dataset", folder / "run-finds", **cache)
    first, step = min(starts)
    print(f"lit-tune: {NUM_ROWS:,} rows of {WIDTH:,}, recipe demo")
    print(f"  from the command to the first finished step: {first:.1f} s; peak memory {peak / 2**20:,.0f} MiB")
    print(
        f"  of that: {imports:.1f} s are the imports of JAX, Flax, optax and pyarrow, {step:.1f} s is the step itself"
    )
    print(f"  over those two: {first / (imports + step):.2f}; with XLA's programs from the cache: {cached:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
