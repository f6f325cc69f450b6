"""`make bench`: runs every benchmark in its own process. Exits with status 1 if a goal is missed."""

import subprocess
import sys

BENCHMARKS = (
    "contrastive_loss",
    "towers",
    "text_steps",
    "table10_step",
    "decoding",
    "embed_job",
    "decode_job",
    "preparing",
    "planning",
    "memory",
    "copying",
    "first_batch",
    "loader",
    "tokens",
    "reading",
    "selecting",
    "exchange",
    "tokenizing",
    "tune_start",
    "duplicates",
    "shuffling",
)


def main() -> int:
    """Returns 1 if a benchmark missed its goal or failed."""
    missed = [
        name
        for name in BENCHMARKS
        if subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"], check=False).returncode
    ]
    sys.stdout.write(f"missed: {', '.join(missed)}\n" if missed else "all goals reached\n")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
