"""A step of the paper's Table 10 on this device, projected from its timed parts, beside its floor of plain products.

    python -m benchmarks.table10_step [--recipe NAME] [--micro-batch-size N]

By default a BERT-base on CC12M: batch 16,384 in micro-batches of 1,024. The parts are the trainer's own: a micro-batch
forward, and forward and backward; the loss; the optimizer. On a CPU fewer texts and pairs are timed and scaled by their
count. The floor is the time that this device takes for the products alone, measured as one plain product of the
tower's perceptron, times the step's count of them: two operations for each kernel's number and token, three times over
for a backward pass with its gradients of inputs and kernels, and the loss's three products.

It has no goal: the ratio says what is left to norms, GELU, attention's softmax, the optimizer, and products that are
slower in their places than alone.
"""

import argparse
import dataclasses
import math
import time

import jax
import jax.numpy as jnp

from lit_precompute.commands.huge_pages import restart_with_huge_pages
from lit_precompute.tune.recipes import PaperRecipe, find_recipe
from lit_precompute.tune.recipes.values import image_width, num_rows
from lit_precompute.tune.training.parts import Parts
from lit_precompute.tune.training.planning import make_plan
from lit_precompute.tune.training.shapes import make_shapes

_ROUNDS = 5
_FLOOR_ROWS = 512  # tokens of the plain product: 32 texts of 16


def product_rate(width: int, hidden: int, dtype: jnp.dtype) -> float:
    """Returns operations per second of a plain product [rows, width] x [width, hidden]; the fastest of a few."""
    rows = jnp.ones((_FLOOR_ROWS, width), dtype)
    kernel = jnp.ones((width, hidden), dtype)
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(rows, kernel))
    times: list[float] = []
    for _ in range(_ROUNDS):
        started_s = time.perf_counter()
        jax.block_until_ready(product(rows, kernel))
        times.append(time.perf_counter() - started_s)
    return 2 * _FLOOR_ROWS * width * hidden / min(times)


def count_operations(parts: Parts) -> float:
    """Returns the operations of a step's products, without those of attention's scores, which are few at 16 tokens."""
    shapes = parts.start.state.parameters.text
    kernels = sum(math.prod(leaf.shape) for name, leaf in shapes.items() if name.endswith("kernel"))
    num_tokens = jax.tree.leaves(parts.inputs)[0].shape[-1]
    passes = 1 if parts.micro_batch_size >= parts.num_texts else 2  # of the forward pass, with the cache
    text = 2.0 * kernels * num_tokens * parts.num_texts * (passes + 2)
    batch_size, columns = parts.recipe.batch_size, parts.num_columns
    return text + 3 * 2.0 * batch_size * batch_size * columns * parts.width


def main() -> None:
    """Prints parts, projection and floor."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="tab4-cc12m-LU-vit-b32-bert-base-wp")
    parser.add_argument("--micro-batch-size", type=int, default=1_024)
    arguments = parser.parse_args()
    named = find_recipe(arguments.recipe)
    assert isinstance(named, PaperRecipe)
    is_cpu = jax.default_backend() == "cpu"
    # Products in bfloat16 are slow on most CPUs.
    recipe = dataclasses.replace(named.recipe, compute_type="float32") if is_cpu else named.recipe
    execution = dataclasses.replace(named.execution, micro_batch_size=arguments.micro_batch_size)
    shapes = make_shapes(recipe, width=image_width(named.row))
    made, parts = make_plan(recipe, execution, shapes, num_rows=num_rows(named.row))
    print(f"{named.name}: {made.work.texts_per_step:,} texts in {made.work.num_micro_batches} micro-batches")
    seconds = 0.0
    for part, part_seconds, how in parts.time():
        print(f"{part:22} {part_seconds:10.3f} s ({how})")
        seconds += part_seconds
    tower = recipe.text_tower
    width, hidden = getattr(tower, "width", parts.width), getattr(tower, "mlp_width", parts.width)
    rate = product_rate(width, hidden, jnp.dtype(recipe.compute_type))
    floor = count_operations(parts) / rate
    print(f"{'projected step':22} {seconds:10.3f} s on {made.device}; {made.memory.total / 1e9:.1f} GB at most")
    print(f"{'floor':22} {floor:10.3f} s ({rate / 1e9:,.0f} GFLOP/s): {seconds / floor:.2f} times")


if __name__ == "__main__":
    restart_with_huge_pages()  # as lit-tune does
    main()
