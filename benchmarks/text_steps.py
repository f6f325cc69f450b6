"""Steps of training of text towers per second relative to torch: forward, backward and Adam, on the same threads.

    python -m benchmarks.text_steps [--peer PYTHON] [--batch-size N] [--length N] [family ...]

BERT-base and the paper's text ViT-base, random weights, batches of 32 rows of 16 tokens, every second row padded. On a
CPU both compute in float32 with two threads, on a GPU with products in bfloat16. The peers are transformers'
`BertModel` and `SiglipTextModel` without dropout, in a process and an environment of their own, once with
`torch.optim.Adam` as it comes and once with `fused=True`. In each round each of the three makes six steps, of which the
first does not count: it finds caches cold, and memory that went back to the system. There are at least 4 rounds and 40
seconds (5 on a GPU); the result is the median ratio of the rounds, so that a slower phase of the machine affects all.
The seconds of CPU are compared, too: other programs on the machine disturb those less.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lit_precompute.commands.huge_pages import restart_with_huge_pages
from lit_precompute.towers.text import BertTextOptions, TextTowerOptions, ViTTextOptions, make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary

MIN_ROUNDS, STEPS_EACH = 4, 6
MIN_SECONDS = {"cpu": 40.0, "gpu": 5.0}
GOALS = {"cpu": 1.2, "gpu": 1.1}
WIDTH = 768
OPTIMIZERS = ("default", "fused")


class Case(NamedTuple):
    """A tower and its tokenizer's vocabulary."""

    options: TextTowerOptions
    vocabulary: Vocabulary


CASES = {
    "bert": Case(BertTextOptions(), Vocabulary(30_522, end_id=102, pad_id=0)),
    "vit": Case(ViTTextOptions(), Vocabulary(32_000, end_id=1, pad_id=None)),
}


class Seconds(NamedTuple):
    """What a step took: by the clock, and of all the process's threads together."""

    clock: float
    cpu: float


def draw_tokens(case: Case, batch_size: int, length: int) -> np.ndarray:
    """Returns int32 [batch_size, length]; every second row is a third shorter, and padded."""
    tokens = np.random.default_rng(0).integers(1_000, 30_000, (batch_size, length), np.int32)
    padding = case.vocabulary.end_id if case.vocabulary.pad_id is None else case.vocabulary.pad_id
    tokens[::2, length - length // 3 :] = padding
    return tokens


def build(case: Case, batch_size: int, length: int, compute_type: str) -> Callable[[], Seconds]:
    """Returns a function that makes one step and returns its seconds."""
    tower = make_text_tower(
        case.options,
        vocabulary=case.vocabulary,
        max_tokens=length,
        output_width=WIDTH,
        compute_type=compute_type,
    )
    tokens = jnp.asarray(draw_tokens(case, batch_size, length))
    weights = jax.random.normal(jax.random.key(1), (batch_size, WIDTH))
    optimizer = optax.adam(1e-5)

    def step(parameters, state, tokens, weights):
        gradients = jax.grad(lambda parameters: (tower.apply(parameters, tokens) * weights).sum())(parameters)
        updates, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1))
    parameters = jax.jit(tower.initialise)(jax.random.key(0))
    now = [parameters, jax.jit(optimizer.init)(parameters)]

    def run() -> Seconds:
        started, started_cpu = time.perf_counter(), time.process_time()
        now[:] = compiled(*now, tokens, weights)
        jax.block_until_ready(now)
        return Seconds(time.perf_counter() - started, time.process_time() - started_cpu)

    run()  # compiles
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(now[0]))  # NaN or infinity could change the speed
    return run


def compare(family: str, options: argparse.Namespace) -> float:
    """Prints the lines of a family and returns its ratio to the peer as it comes."""
    backend = jax.default_backend()
    ours = build(CASES[family], options.batch_size, options.length, "bfloat16" if backend == "gpu" else "float32")
    command = [options.peer, "-m", "benchmarks.text_steps_peer", family, str(options.batch_size), str(options.length)]
    environment = os.environ | {"TRANSFORMERS_VERBOSITY": "error"}
    environment.pop("GLIBC_TUNABLES", None)  # torch keeps its memory; huge pages make it no faster
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout
        device = process.stdout.readline().strip()
        assert (device != "cpu") == (backend == "gpu"), f"torch runs on {device}, JAX on {backend}"

        def theirs(optimizer: str) -> Seconds:
            print(optimizer, file=process.stdin, flush=True)
            return Seconds(*map(float, process.stdout.readline().split()))

        makers = (ours, *(functools.partial(theirs, optimizer) for optimizer in OPTIMIZERS))
        rounds: list[tuple[Seconds, ...]] = []
        while len(rounds) < MIN_ROUNDS or sum(each.clock for row in rounds for each in row) < MIN_SECONDS[backend]:
            rounds.append(tuple(map(_seconds, makers)))
        process.stdin.close()
    rate = options.batch_size / statistics.median(row[0].clock for row in rounds)
    sys.stdout.write(f"  {family:5} {rate:9,.1f} examples/s\n")
    ratios = [_report(optimizer, rounds, place, options.batch_size) for place, optimizer in enumerate(OPTIMIZERS, 1)]
    return ratios[0]


def _seconds(step: Callable[[], Seconds]) -> Seconds:
    """Returns what a step takes that follows others: medians."""
    steps = [step() for _ in range(STEPS_EACH)][1:]
    return Seconds(statistics.median(each.clock for each in steps), statistics.median(each.cpu for each in steps))


def _report(optimizer: str, rounds: list[tuple[Seconds, ...]], place: int, batch_size: int) -> float:
    rate = batch_size / statistics.median(row[place].clock for row in rounds)
    ratio = statistics.median(row[place].clock / row[0].clock for row in rounds)
    cpu = statistics.median(row[place].cpu / row[0].cpu for row in rounds)
    goal = f" (goal >= {GOALS[jax.default_backend()]})" if optimizer == "default" else ""
    sys.stdout.write(f"    torch, Adam {optimizer:8} {rate:9,.1f}: ratio {ratio:.2f}{goal}, by CPU seconds {cpu:.2f}\n")
    sys.stdout.flush()
    return ratio


def main() -> int:
    """Compares the families; returns 1 if a goal is missed."""
    restart_with_huge_pages()  # as lit-tune does
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves torch its part of the GPU's memory
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=list(CASES), metavar="family", help=", ".join(CASES))
    parser.add_argument("--peer", default=".venv-oracles/bin/python", help="a Python with torch and transformers")
    parser.add_argument("--batch-size", type=int, default=4096 if jax.default_backend() == "gpu" else 32)
    parser.add_argument("--length", type=int, default=16, help="tokens of a row")
    options = parser.parse_args()
    device = jax.devices()[0].device_kind
    sys.stdout.write(f"training steps of {options.batch_size} rows of {options.length} tokens, on {device}\n")
    ratios = [compare(family, options) for family in options.families]
    return int(min(ratios) < GOALS[jax.default_backend()])


if __name__ == "__main__":
    sys.exit(main())
