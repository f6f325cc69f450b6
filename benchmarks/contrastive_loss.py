"""The contrastive loss, forward and backward, relative to three plain matrix products; and its memory.

    python -m benchmarks.contrastive_loss

The floor is what any exact method must compute: one B x B x D product forward, two backward. The floor writes its
B x B results to memory; our loss does not. The peer is the same loss in plain JAX with automatic differentiation, which
keeps the whole matrix in memory. Times are medians of interleaved runs in one process. Memory is what XLA reserves for
temporaries, and the peak of a fresh process above that of one with a tiny batch (Linux).
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp

from lit_precompute.tune.losses.softmax import contrastive_loss, unit_rows

BATCH, WIDTH, RUNS = 8_192, 512, 7
GOAL_RATIO = 1.2
GOAL_BYTES = 2 * BATCH * WIDTH * 4 + (64 << 20)


def draw(batch: int) -> tuple[jax.Array, jax.Array]:
    """Returns unit rows of image and text embeddings."""
    keys = jax.random.split(jax.random.key(0))
    images, texts = (unit_rows(jax.random.normal(key, (batch, WIDTH))) for key in keys)
    return images, texts


def ours(texts: jax.Array, log_scale: jax.Array, images: jax.Array) -> jax.Array:
    """Returns the tiled loss."""
    return contrastive_loss(images, texts, log_scale)


def plain(texts: jax.Array, log_scale: jax.Array, images: jax.Array) -> jax.Array:
    """Returns the loss as in a textbook."""
    logits = jnp.exp(log_scale) * texts @ images.T
    return -(jnp.diag(jax.nn.log_softmax(logits, 0)) + jnp.diag(jax.nn.log_softmax(logits, 1))).mean() / 2


def compiled(loss, batch: int):
    """Returns the compiled loss with gradients, and its arguments."""
    images, texts = draw(batch)
    arguments = texts, jnp.float32(2.3), images
    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(*arguments).compile(), arguments


def seconds(function, *arguments) -> float:
    """Returns the seconds of one call, until its result is ready."""
    started = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - started


def measure_times() -> dict[str, list[float]]:
    """Returns the seconds of each run of the floor, ours and the peer, interleaved."""
    images, texts = draw(BATCH)
    similarities = jax.jit(lambda u, v: jnp.matmul(u, v.T, precision="highest"))
    weighted = jax.jit(lambda w, v: jnp.matmul(w, v, precision="highest"))
    matrix = similarities(texts, images)
    products = [(similarities, texts, images), (similarities, texts, images), (weighted, matrix, images)]
    cases = {name: compiled(loss, BATCH) for name, loss in (("ours", ours), ("plain JAX", plain))}
    times: dict[str, list[float]] = {"three products": [], **{name: [] for name in cases}}
    for run in range(RUNS + 1):
        found = {"three products": sum(seconds(*product) for product in products)}
        found |= {name: seconds(function, *arguments) for name, (function, arguments) in cases.items()}
        if run:  # the first run is a warm-up
            for name, value in found.items():
                times[name].append(value)
    return times


def peak_bytes(batch: int) -> int:
    """Returns the peak memory of a fresh process that runs our loss once."""
    program = f"from benchmarks.contrastive_loss import run_once; run_once({batch})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def run_once(batch: int) -> None:
    """Runs our loss once and prints this process's peak memory in bytes."""
    function, arguments = compiled(ours, batch)
    jax.block_until_ready(function(*arguments))
    # Not getrusage: a child's peak includes the memory of the parent that forked it.
    status = pathlib.Path("/proc/self/status").read_text()
    sys.stdout.write(str(int(status.split("VmHWM:")[1].split()[0]) * 1024))


def main() -> int:
    """Prints ratios and memory; returns 1 if a goal is missed."""
    times = measure_times()
    sys.stdout.write(f"loss and gradients, B {BATCH:,}, D {WIDTH}, float32, on {jax.devices()[0].device_kind}\n")
    floor = statistics.median(times["three products"])
    ratio = statistics.median(times["ours"]) / floor
    for name, values in times.items():
        median = statistics.median(values)
        spread = f"{min(values):.2f} to {max(values):.2f}"
        sys.stdout.write(f"  {name:<15} {median:6.2f} s ({spread})  {median / floor:.2f} of the floor\n")
    temporaries = {batch: compiled(ours, batch)[0].memory_analysis() for batch in (BATCH, 4 * BATCH)}
    own = temporaries[BATCH].temp_size_in_bytes + temporaries[BATCH].output_size_in_bytes
    growth = temporaries[4 * BATCH].temp_size_in_bytes / temporaries[BATCH].temp_size_in_bytes
    whole = compiled(plain, BATCH)[0].memory_analysis().temp_size_in_bytes
    base, peaks = peak_bytes(256), {batch: peak_bytes(batch) for batch in (BATCH, 4 * BATCH)}
    inputs = {batch: 2 * batch * WIDTH * 4 for batch in peaks}
    sys.stdout.write(f"  ratio to three plain products {ratio:.2f} (goal <= {GOAL_RATIO})\n")
    sys.stdout.write(
        f"  temporaries and gradients {own / 2**20:.0f} MiB (goal < {GOAL_BYTES / 2**20:.0f}), "
        f"plain JAX {whole / 2**20:.0f}\n"
    )
    sys.stdout.write(f"  temporaries of B {4 * BATCH:,} over B {BATCH:,}: {growth:.1f} (goal <= 4)\n")
    for batch, peak in peaks.items():
        grown = peak - base
        sys.stdout.write(
            f"  process at B {batch:,}: {grown / 2**20:.0f} MiB above one of B 256, "
            f"of which embeddings {inputs[batch] / 2**20:.0f}\n"
        )
    return int(ratio > GOAL_RATIO or own >= GOAL_BYTES or growth > 4.05)


if __name__ == "__main__":
    sys.exit(main())
