"""Images per second of each family's base variant relative to torch: same machine, threads, batch and image size.

    python -m benchmarks.towers [--peer PYTHON] [--batch-size N] [--channels-last] [family ...]

Random weights; float32 images that are already on the device. On a CPU both compute in float32 with two threads, on a
GPU in bfloat16, torch with its fused attention. The peer is transformers' model if there is one, else timm's (EVA-02,
Perception Encoder) or the same network in torch's layers (MLP-Mixer, EfficientNet-Lite0); it runs in its own process
and environment.
In each round each of the two embeds four batches one after another, as a job does, of which the first does not count:
it finds caches cold, and memory that went back to the system. There are at least 4 rounds and 40 seconds (5 on a GPU);
the result is the median ratio of the rounds, so that a slower phase of the machine affects both.
"""

import argparse
import dataclasses
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from lit_precompute.commands.huge_pages import restart_with_huge_pages
from lit_precompute.towers.registry import find_tower

MIN_ROUNDS, BATCHES_EACH = 4, 4
MIN_SECONDS = {"cpu": 40.0, "gpu": 5.0}
GPU_GOAL = 1.0


class Case(NamedTuple):
    """A family's base variant, and the ratio to reach on a CPU."""

    tower: str
    goal: float


CASES = {
    "vit": Case("vit_b16", 1.2),
    "dinov3": Case("facebook/dinov3-vitb16-pretrain-lvd1689m", 1.2),
    "mixer": Case("mixer_b16", 1.2),
    "efficientnet": Case("efficientnet-lite0", 2.5),
    "convnext": Case("convnext_base", 1.0),
    "bit": Case("bit_r50x1", 0.7),
    "aimv2": Case("apple/aimv2-large-patch14-224", 1.2),
    "eva": Case("timm/eva02_base_patch14_224.mim_in22k", 1.2),
    "pe": Case("facebook/PE-Core-B16-224", 1.2),
}


def build(tower: str, batch_size: int, side: int, compute_type: str) -> Callable[[], float]:
    """Returns a function that runs one batch and returns its seconds."""
    entry = find_tower(tower)
    config = dataclasses.replace(entry.config, resolution=side, compute_type=compute_type)
    generator = np.random.default_rng(0)
    parameters = {}
    for name, shape in entry.family.parameter_shapes(config).items():
        deviation = math.prod(shape[:-1]) ** -0.5 if len(shape) > 1 else 0.1
        values = generator.standard_normal(shape, np.float32) * np.float32(deviation)
        # Scales and variances are positive in every trained network.
        parameters[name] = 1 + np.abs(values) if len(shape) == 1 and not name.endswith("bias") else values
    parameters = jax.device_put(parameters)
    images = jax.device_put(generator.uniform(-1, 1, (batch_size, side, side, 3)).astype(np.float32))
    function = jax.jit(lambda parameters, images: entry.family.apply(config, parameters, images))
    assert np.isfinite(
        np.asarray(function(parameters, images))
    ).all()  # compiles; NaN or infinity could change the speed

    def run() -> float:
        started = time.perf_counter()
        jax.block_until_ready(function(parameters, images))
        return time.perf_counter() - started

    return run


def compare(family: str, options: argparse.Namespace) -> float:
    """Prints the line of a family and returns its ratio divided by the goal."""
    batch_size, side = options.batch_size, options.side
    on_gpu = jax.default_backend() == "gpu"
    ours = build(CASES[family].tower, batch_size, side, "bfloat16" if on_gpu else "float32")
    command = [options.peer, "-m", "benchmarks.towers_peer", family, str(batch_size), str(side)]
    command += ["channels_last"] if options.channels_last else []
    environment = os.environ | {"TRANSFORMERS_VERBOSITY": "error"}
    environment.pop("GLIBC_TUNABLES", None)  # torch's own memory, as in text_steps
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout
        device = process.stdout.readline().strip()
        assert (device != "cpu") == on_gpu, f"torch runs on {device}, JAX on {jax.default_backend()}"

        def theirs() -> float:
            print(file=process.stdin, flush=True)
            return float(process.stdout.readline())

        rounds: list[tuple[float, float]] = []
        started = time.perf_counter()
        while len(rounds) < MIN_ROUNDS or time.perf_counter() - started < MIN_SECONDS[jax.default_backend()]:
            rounds.append((_seconds(ours), _seconds(theirs)))
        process.stdin.close()
    our_rate, their_rate = (batch_size / statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    ratio = statistics.median(their_seconds / our_seconds for our_seconds, their_seconds in rounds)
    goal = GPU_GOAL if on_gpu else CASES[family].goal
    words = f"  {CASES[family].tower:29} {our_rate:9,.1f} images/s, torch {their_rate:9,.1f}"
    sys.stdout.write(f"{words}, ratio {ratio:.2f} (goal >= {goal})\n")
    sys.stdout.flush()
    return ratio / goal


def _seconds(embed: Callable[[], float]) -> float:
    """Returns what a batch takes that follows others: the median."""
    return statistics.median([embed() for _ in range(BATCHES_EACH)][1:])


def main() -> int:
    """Compares the families; returns 1 if a goal is missed."""
    restart_with_huge_pages()  # as lit-embed does
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves torch its part of the GPU's memory
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=list(CASES), metavar="family", help=", ".join(CASES))
    parser.add_argument("--peer", default=".venv-oracles/bin/python", help="a Python with torch, transformers and timm")
    parser.add_argument("--batch-size", type=int, default=256 if jax.default_backend() == "gpu" else 8)
    parser.add_argument("--side", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--channels-last", action="store_true", help="torch's faster layout for convolutions")
    options = parser.parse_args()
    device = jax.devices()[0].device_kind
    sys.stdout.write(f"towers at {options.side} px, batches of {options.batch_size}, on {device}\n")
    shares = [compare(family, options) for family in options.families]
    return int(min(shares) < 1)


if __name__ == "__main__":
    sys.exit(main())
