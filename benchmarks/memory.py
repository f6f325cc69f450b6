"""Peak memory of a worker for 100 times the rows.

    python -m benchmarks.memory [--rows N]

The same job over 512 rows, a work unit, and over 100 such units: small JPEGs in tars, a tower that looks at no image.
Each in a process of its own, launcher and worker in one; compared is the most memory that the process ever had.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile

from benchmarks import images, jobs
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.sources.spec import SourceSpec

NUM_ROWS, FACTOR, NUM_DISTINCT = 512, 100, 64
MOST_RATIO = 1.1


def run(folder: pathlib.Path, rows_per_shard: int) -> None:
    """Embeds the tars in a folder and prints the peak memory in MB, and the rows."""
    options = EmbedOptions(
        source=SourceSpec(str(folder / "tars")),
        tower=jobs.constant_tower(folder / "weights.npz"),
        output=str(folder / "out"),
        batch_size=32,
        rows_per_shard=rows_per_shard,
    )
    num_rows = Launch(options).run().num_rows
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024} {num_rows}\n")


def peak_mb(num_rows: int, rows_per_shard: int) -> float:
    """Returns the peak memory of a process that embeds this many rows."""
    some = [images.jpeg(number, 96, 64) for number in range(NUM_DISTINCT)]
    with tempfile.TemporaryDirectory() as name:
        tars = pathlib.Path(name, "tars")
        tars.mkdir()
        jobs.write_tars(tars, ((f"{number:07d}.jpg", some[number % NUM_DISTINCT]) for number in range(num_rows)))
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", "--child", name, str(rows_per_shard)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    peak, found = output.split()[-2:]
    assert int(found) == num_rows, output
    return float(peak)


def main() -> int:
    """Prints the ratio; returns 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=NUM_ROWS, help="of a work unit, and of the small job")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        run(pathlib.Path(asked.child[0]), int(asked.child[1]))
        return 0
    few, many = (peak_mb(factor * asked.rows, asked.rows) for factor in (1, FACTOR))
    sys.stdout.write(
        f"peak memory of the job: {asked.rows:,} rows {few:,.0f} MB, {FACTOR * asked.rows:,} rows {many:,.0f} MB: "
        f"ratio {many / few:.3f} (goal <= {MOST_RATIO})\n"
    )
    return int(many > MOST_RATIO * few)


if __name__ == "__main__":
    sys.exit(main())
