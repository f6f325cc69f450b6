"""Peak memory of loading a tower of random weights: shards of .safetensors, beside the size of its parameters.

    python -m benchmarks.loading [--tower facebook/dinov2-giant] [--stored float32] [--compute-type bfloat16]

In a process of its own: the most memory while it loads, less what its imports take, for each type of activations.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

import jax
import ml_dtypes
import numpy as np
import safetensors.numpy

from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.registry import find_tower
from lit_precompute.towers.weights.naming import write_names

MOST_RATIO = 1.2
SHARD_BYTES = 1 << 29
STORED_TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def write_shards(folder: pathlib.Path, tower: str, stored_type: str) -> None:
    """Writes random weights of a tower as Hugging Face's shards, under the names of its first naming for torch."""
    entry = find_tower(tower)
    shapes = entry.family.parameter_shapes(entry.config)
    (naming,) = [naming for naming in entry.family.namings(entry.config) if naming.name == "timm"]
    drawn = np.random.default_rng(0).standard_normal(1 << 20, np.float32).astype(STORED_TYPES[stored_type])
    holders: dict[str, str] = {}
    shard: dict[str, np.ndarray] = {}

    def flush() -> None:
        file = f"model-{len(set(holders.values())) + 1:05d}.safetensors"
        safetensors.numpy.save_file(shard, folder / file)
        holders.update(dict.fromkeys(shard, file))
        shard.clear()

    for row in naming.links:  # one array at a time: all of them may not fit the memory
        own = {name: np.resize(drawn, shapes[name]) for name in row.parameters}
        shard |= write_names(dataclasses.replace(naming, links=[row]), own)
        if sum(array.nbytes for array in shard.values()) > SHARD_BYTES:
            flush()
    if shard:
        flush()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": holders}))


def _memory_mb(field: str) -> float:
    (line,) = [line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


def load(folder: str, tower: str, compute_type: str) -> None:
    """Loads the tower, puts it on the device, and prints the size of its parameters and the peaks of both, in MB."""
    jax.block_until_ready(jax.device_put(np.zeros(1)))
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _memory_mb("VmRSS")
    loaded = load_tower(**{**vars(ImageTowerOptions(name=tower, compute_type=compute_type)), "weights": folder})  # pyright: ignore
    size = sum(values.nbytes for values in loaded.parameters.values()) / 2**20
    loading = _memory_mb("VmHWM") - before
    on_device = jax.block_until_ready(jax.device_put(dict(loaded.parameters)))
    sys.stdout.write(f"{size} {loading} {_memory_mb('VmHWM') - before}\n")
    del on_device


def main() -> int:
    """Prints the ratios; returns 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tower", default="facebook/dinov2-giant")
    parser.add_argument("--stored", default="float32", choices=list(STORED_TYPES))
    parser.add_argument("--compute-type", action="append", choices=["bfloat16", "float32"], help="default: both")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        load(asked.child[0], asked.tower, asked.child[1])
        return 0
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        write_shards(pathlib.Path(folder), asked.tower, asked.stored)
        for compute_type in asked.compute_type or ("bfloat16", "float32"):
            command = [sys.executable, "-m", "benchmarks.loading", "--tower", asked.tower]
            found = subprocess.run(
                [*command, "--child", folder, compute_type], check=True, stdout=subprocess.PIPE, text=True
            )
            size, loading, placed = map(float, found.stdout.split()[-3:])
            worst = max(worst, placed / size)
            sys.stdout.write(
                f"{asked.tower}, {asked.stored} in the file, {compute_type} activations: parameters {size:,.0f} MB, "
                f"peak {loading:,.0f} MB ({loading / size:.2f} times), with the device's {placed:,.0f} MB "
                f"({placed / size:.2f}; goal <= {MOST_RATIO})\n"
            )
    return int(worst > MOST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
