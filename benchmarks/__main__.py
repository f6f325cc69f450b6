"""Runs every benchmark, each in a process of its own: `make bench`. Exit status 1 where a goal is missed."""

import subprocess
import sys

BENCHMARKS = ("contrastive_loss", "towers", "embed_job", "preparing", "loader", "tune_start")


def main() -> int:
    """Returns 1 where a benchmark missed its goal or failed."""
    missed = [
        name
        for name in BENCHMARKS
        if subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"], check=False).returncode
    ]
    sys.stdout.write(f"missed: {', '.join(missed)}\n" if missed else "all goals reached\n")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
