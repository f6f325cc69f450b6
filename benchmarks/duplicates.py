"""Near-duplicates: 100,000 rows of 768 against 10,000, relative to the matrix products alone.

    python -m benchmarks.duplicates

The floor is the products that any exact comparison of all pairs must compute, of the same tiles in the same precision,
each result written to memory; slabs and floor take turns in one process. Ours also reads the rows, scales them, finds
the largest cosines, and decides in float64. One row in a hundred has a near-duplicate there.
"""

import pathlib
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from lit_precompute.precompute.duplicates.comparing import Comparer, slab_rows_of
from lit_precompute.precompute.duplicates.tiles import Tile
from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, TowerCard

ROWS, OTHERS, WIDTH, THRESHOLD = 100_000, 10_000, 768, 0.95
GOAL = 0.8
_BATCH = 10_000
_FLOOR_TILES = 40


def card() -> TowerCard:
    """Returns the card of a tower that embeds nothing."""
    return TowerCard(
        name="random",
        architecture={"family": "random"},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=WIDTH,
        pooling="average",
        num_parameters=0,
        fingerprint="0" * 64,
    )


def write(path: pathlib.Path, count: int, others: np.ndarray | None = None) -> np.ndarray:
    """Writes random rows, of which one in a hundred is like one of the others; returns the first of them."""
    generator, first = np.random.default_rng(count), np.zeros(0)
    with DatasetWriter(path, tower=card(), source=SourceInfo(kind="random", path="", files=[])) as writer:
        for start in range(0, count, _BATCH):
            rows = generator.standard_normal((_BATCH, WIDTH), np.float32)
            if others is not None:
                rows[::100] = others[: len(rows[::100])] + 0.1 * rows[::100]
            first = rows if start == 0 else first
            writer.write(keys=[f"{start + place:09d}" for place in range(_BATCH)], embeddings=rows)
    return first


def seconds_of_product(rows: Tile, others: Tile) -> float:
    """Returns the seconds of one product of two tiles."""
    started = time.perf_counter()
    for _ in range(_FLOOR_TILES):
        _product(rows.unit, others.unit).block_until_ready()
    return (time.perf_counter() - started) / _FLOOR_TILES


@jax.jit
def _product(rows: jax.Array, others: jax.Array) -> jax.Array:
    return jnp.matmul(rows, others.T, precision="highest")


def main() -> int:
    """Prints the rates; returns 1 if the goal is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        like = write(folder / "others", OTHERS)
        write(folder / "rows", ROWS, like)
        slab_rows = slab_rows_of(WIDTH)
        with EmbeddingDataset.open(folder / "rows") as rows, EmbeddingDataset.open(folder / "others") as others:
            comparer = Comparer(rows, [others], threshold=THRESHOLD, within=False, slab_rows=slab_rows)
            tiles = [tile for _, tile in zip(range(2), comparer.tiles(0), strict=False)]
            seconds_of_product(*tiles)  # a warm-up, as is a slab of few rows
            ours_s, floor_s, removed = 0.0, [], 0
            for slab in range(-(-ROWS // slab_rows)):
                floor_s.append(seconds_of_product(*tiles))
                started = time.perf_counter()
                removed += len(comparer.compare(slab).against[0].removed)
                ours_s += time.perf_counter() - started
                floor_s.append(seconds_of_product(*tiles))
    tile_pairs = tiles[0].unit.shape[0] * tiles[1].unit.shape[0]
    ours, floor = ROWS * OTHERS / ours_s, tile_pairs / float(np.mean(floor_s))
    share = ours / floor
    sys.stdout.write(
        f"{removed:,} of {ROWS:,} rows removed against {OTHERS:,}\n"
        f"the products alone: {floor / 1e6:.1f} M pairs/s, {2 * WIDTH * floor / 1e9:.0f} GFLOP/s\n"
        f"ours: {ours / 1e6:.1f} M pairs/s, {share:.2f} of it (goal >= {GOAL})\n"
        f"1,000,000 rows against 100,000, at this rate: {1e11 / ours / 3600:.1f} h\n"
    )
    return int(share < GOAL)


if __name__ == "__main__":
    sys.exit(main())
