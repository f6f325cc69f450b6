"""The contrastive losses, forward and backward, relative to plain matrix products and to a peer; and their memory.

    python -m benchmarks.contrastive_loss [--tiles] [--peer PYTHON] [--batch-size N]

The floor of each loss is what any exact method must compute, as plain products of B x B x D: of the softmax loss one
forward and two backward (three with a trained image side), of the sigmoid loss, in one pass, two (three). The floor
writes its B x B results to memory; our losses do not. Plain JAX with automatic differentiation keeps the whole matrix
in memory. A batch four times as large has sixteen times the products, and should take sixteen times as long.

The peer is sentence-transformers' `CachedMultipleNegativesRankingLoss` in both directions, in a process of an
environment that has it (`make bench` makes one): the same softmax loss, computed for some rows at a time, here 512,
which is faster than its default of 32. Without such an environment it is left out, and says so.

Rounds run everything once, one after the other. Times are medians; the ratio of two is the median of the rounds', so
that a slower phase of the machine affects both. The seconds of CPU are shown, too: other programs disturb those less.
Memory is what XLA reserves for temporaries. `--tiles` only times tiles of several sizes on this device.
"""

import argparse
import functools
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lit_precompute.tune.losses.loss import ONE_EACH
from lit_precompute.tune.losses.sigmoid import sigmoid_loss
from lit_precompute.tune.losses.softmax import contrastive_loss, unit_rows
from lit_precompute.tune.losses.tiles import TileSizes, choose_sizes

BATCH, WIDTH, ROUNDS = 8_192, 512, 5
PEER_ROWS = 512
GOAL_RATIO, GOAL_GROWTH, GOAL_PEER = 1.1, 1.1, 1 / 1.5
TILES = [TileSizes(rows, columns) for rows in (256, 512, 1024, 4096) for columns in (512, 1024, 4096, 16384)]
# Plain products of each loss, with locked and with trained images.
PRODUCTS = {("softmax", False): 3, ("softmax", True): 4, ("sigmoid", False): 2, ("sigmoid", True): 3}


class Seconds(NamedTuple):
    """What a call took: by the clock, and of all threads together."""

    clock: float
    cpu: float


Case = Callable[[], Seconds]


def timed(function: Callable[..., object], *arguments: object) -> Seconds:
    """Returns the seconds of one call, until its result is ready."""
    started, started_cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(function(*arguments))
    return Seconds(time.perf_counter() - started, time.process_time() - started_cpu)


@functools.cache
def draw(batch: int) -> tuple[jax.Array, jax.Array]:
    """Returns unit rows of image and text embeddings."""
    keys = jax.random.split(jax.random.key(0))
    images, texts = (unit_rows(jax.random.normal(key, (batch, WIDTH))) for key in keys)
    return images, texts


def loss_of(kind: str, images: jax.Array, texts: jax.Array, sizes: TileSizes, *, image_is_trained: bool) -> jax.Array:
    """Returns a loss at the scale and bias with which SigLIP starts."""
    scale, bias = jnp.float32(2.3), jnp.float32(-10.0)
    if kind == "sigmoid":
        return sigmoid_loss(images, texts, scale, bias, ONE_EACH, sizes, image_is_trained)
    return contrastive_loss(images, texts, scale, ONE_EACH, sizes, image_is_trained)


def plain(images: jax.Array, texts: jax.Array) -> jax.Array:
    """Returns the softmax loss as in a textbook."""
    logits = jnp.exp(2.3) * texts @ images.T
    return -(jnp.diag(jax.nn.log_softmax(logits, 0)) + jnp.diag(jax.nn.log_softmax(logits, 1))).mean() / 2


def compiled(kind: str, batch: int, sizes: TileSizes, *, image_is_trained: bool = False):
    """Returns the compiled loss with the gradients of texts, and of images if those are trained."""
    loss = functools.partial(loss_of, kind, sizes=sizes, image_is_trained=image_is_trained)
    gradient = jax.value_and_grad(loss, argnums=(0, 1) if image_is_trained else 1)
    return jax.jit(gradient).lower(*draw(batch)).compile()


def make_floor() -> Callable[[int], Case]:
    """Returns a function from a number of plain products to a case that computes them."""
    images, texts = draw(BATCH)
    similarities = jax.jit(lambda u, v: jnp.matmul(u, v.T, precision="highest"))
    weighted = jax.jit(lambda w, v: jnp.matmul(w, v, precision="highest"))
    matrix = similarities(texts, images)
    jax.block_until_ready(weighted(matrix, images))

    def floor(count: int) -> Case:
        # Of three or four products two are similarities: the softmax loss computes them again in its second pass.
        products = [(similarities, texts, images), (weighted, matrix, images), (similarities, texts, images)]
        products = [*products, (weighted, matrix, images)][:count]

        def run() -> Seconds:
            each = [timed(*product) for product in products]
            return Seconds(sum(one.clock for one in each), sum(one.cpu for one in each))

        return run

    return floor


def interleaved(cases: dict[str, Case], rounds: int = ROUNDS) -> dict[str, list[Seconds]]:
    """Returns the seconds of each round, after one to warm up."""
    for case in cases.values():
        case()
    times: dict[str, list[Seconds]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            times[name].append(case())
    return times


def ratio(numerators: list[Seconds], denominators: list[Seconds], times: float = 1.0) -> Seconds:
    """Returns the median of the rounds' ratios, by the clock and by CPU seconds."""
    pairs = list(zip(numerators, denominators, strict=True))
    return Seconds(*(statistics.median(one[at] / other[at] / times for one, other in pairs) for at in (0, 1)))


def report(name: str, found: Seconds, goal: float | None) -> bool:
    """Prints a ratio and returns whether it is within its goal."""
    aim = "" if goal is None else f" (goal <= {goal:.2f})"
    sys.stdout.write(f"  {name:<44} {found.clock:5.2f}{aim}, by CPU seconds {found.cpu:.2f}\n")
    sys.stdout.flush()
    return goal is None or found.clock <= goal


def compare_products() -> bool:
    """Compares each loss with its own count of products, and the softmax loss with plain JAX."""
    sizes, floor = choose_sizes(), make_floor()
    cases: dict[str, Case] = {f"{count} products": floor(count) for count in (2, 3, 4)}
    automatic = jax.jit(jax.value_and_grad(plain, argnums=1)).lower(*draw(BATCH)).compile()
    cases["plain JAX"] = lambda: timed(automatic, *draw(BATCH))
    names = {key: f"{key[0]}, images {'trained' if key[1] else 'locked'}" for key in PRODUCTS}
    for (kind, is_trained), name in names.items():
        function = compiled(kind, BATCH, sizes, image_is_trained=is_trained)
        cases[name] = lambda function=function: timed(function, *draw(BATCH))
    times = interleaved(cases)
    for name, values in times.items():
        clock, cpu = (statistics.median(each[at] for each in values) for at in (0, 1))
        sys.stdout.write(f"  {name:<30} {clock:6.2f} s, of CPU {cpu:6.2f} s\n")
    good = [
        report(
            f"{name}, over {PRODUCTS[key]} products", ratio(times[name], times[f"{PRODUCTS[key]} products"]), GOAL_RATIO
        )
        for key, name in names.items()
    ]
    report("plain JAX, over 3 products", ratio(times["plain JAX"], times["3 products"]), None)
    return all(good)


def compare_batches(batch: int, peer: str) -> bool:
    """Compares a batch with sixteen times the time of a quarter of it, and with the peer's at the same memory."""
    sizes, good, cases = choose_sizes(), [], {}
    for kind in ("softmax", "sigmoid"):
        for size in (batch // 4, batch):
            function = compiled(kind, size, sizes)
            cases[f"{kind} {size}"] = lambda function=function, size=size: timed(function, *draw(size))
    trained = compiled("softmax", batch, sizes, image_is_trained=True)
    cases["trained"] = lambda: timed(trained, *draw(batch))
    with Peer(peer, batch, PEER_ROWS) as theirs:
        if theirs.is_there:
            cases["peer"] = theirs.seconds
        times = interleaved(cases, rounds=1)
    for kind in ("softmax", "sigmoid"):
        found = ratio(times[f"{kind} {batch}"], times[f"{kind} {batch // 4}"], 16)
        good.append(report(f"{kind}, B {batch:,} over 16 x B {batch // 4:,}", found, GOAL_GROWTH))
    if "peer" not in times:
        sys.stdout.write(f"  {peer} has no sentence-transformers: no peer\n")
        return all(good)
    good.append(
        report("softmax, over sentence-transformers", ratio(times["softmax " + str(batch)], times["peer"]), GOAL_PEER)
    )
    report("the same, images trained", ratio(times["trained"], times["peer"]), None)
    return all(good)


class Peer:
    """The peer's process; each line that it is sent is one call."""

    def __init__(self, python: str, batch: int, rows: int):
        """Starts it."""
        command = [python, "-m", "benchmarks.contrastive_loss_peer", str(batch), str(WIDTH), str(rows)]
        self.is_there = pathlib.Path(python).exists()
        self._process = None
        if self.is_there:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert self._process.stdout
            self.is_there = self._process.stdout.readline().strip() == "ready"

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()

    def seconds(self) -> Seconds:
        """Returns the seconds of one call."""
        assert self._process is not None and self._process.stdin and self._process.stdout
        print("go", file=self._process.stdin, flush=True)
        return Seconds(*map(float, self._process.stdout.readline().split()))


def compare_memory() -> bool:
    """Compares the temporaries of two batches; those of a tile are the same."""
    good = []
    for kind in ("softmax", "sigmoid"):
        own = {}
        for batch in (BATCH, 4 * BATCH):
            memory = compiled(kind, batch, choose_sizes()).memory_analysis()
            own[batch] = memory.temp_size_in_bytes + memory.output_size_in_bytes
        limit = 2 * BATCH * WIDTH * 4 + (64 << 20)
        sys.stdout.write(
            f"  {kind}: temporaries and gradients {own[BATCH] / 2**20:.0f} MiB (goal < {limit / 2**20:.0f}); of B "
            f"{4 * BATCH:,} {own[4 * BATCH] / own[BATCH]:.1f} times as much (goal <= 4)\n"
        )
        good.append(own[BATCH] < limit and own[4 * BATCH] <= 4.05 * own[BATCH])
    whole = jax.jit(jax.value_and_grad(plain, argnums=1)).lower(*draw(BATCH)).compile().memory_analysis()
    sys.stdout.write(f"  plain JAX: {whole.temp_size_in_bytes / 2**20:.0f} MiB\n")
    return all(good)


def compare_tiles(batch: int) -> None:
    """Prints the seconds of both losses with tiles of several sizes, which is what `losses.tiles` chooses by."""
    for kind in ("softmax", "sigmoid"):
        for sizes in TILES:
            if sizes.rows <= batch and sizes.columns <= batch:
                function = compiled(kind, batch, sizes)
                found = min((timed(function, *draw(batch)) for _ in range(3)), key=lambda each: each.clock)
                sys.stdout.write(
                    f"  {kind} {sizes.rows:>5} x {sizes.columns:<5} {found.clock:6.3f} s, CPU {found.cpu:.3f} s\n"
                )
                sys.stdout.flush()


def main() -> int:
    """Prints ratios and memory; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", action="store_true", help="time tiles of several sizes, and nothing else")
    parser.add_argument("--peer", default=".venv-bench/bin/python", help="a Python with sentence-transformers")
    parser.add_argument("--batch-size", type=int, default=4 * BATCH, help="of the comparisons of large batches")
    options = parser.parse_args()
    sys.stdout.write(f"losses and gradients, D {WIDTH}, float32, on {jax.devices()[0].device_kind}\n")
    if options.tiles:
        compare_tiles(options.batch_size)
        return 0
    good = [compare_products(), compare_memory(), compare_batches(options.batch_size, options.peer)]
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
