"""The paper's appendix C on real drawings: which texts of an image to train on, and how to combine them.

    .venv/bin/python -m benchmarks.openclipart [NUM_SEEDS]

Debian's openclipart has 8,121 drawings whose title, description and tags overlap only partly, as those of YFCC100m's
photographs do. A small text tower is trained on each of the three alone, on all of them jointly, on one drawn for each
image, and on one drawn for each batch, with 16 and 32 tokens; then it classifies and retrieves held-out drawings. Needs
apt-get and dpkg the first time. What is in .demo/openclipart is not repeated.

Source: arXiv:2111.07991, appendix C and figure 8.
"""

import sys

from benchmarks.openclipart.data import HOME, prepare
from benchmarks.openclipart.findings import findings, plot, table
from benchmarks.openclipart.runs import COMBINATIONS, SIGNALS, TOKENS, Reached, say, train, train_vocabulary, write_csv

_PLOT = HOME / "figure8.png"


def main() -> int:
    """Prints what was counted, the table and the findings, and draws the figure."""
    num_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for name, count in prepare().items():
        say(f"  {name.replace('_', ' '):<20}{count:>8,}")
    train_vocabulary()
    reached: list[Reached] = []
    for setting in (*SIGNALS, *COMBINATIONS):
        reached += train(setting, TOKENS, range(num_seeds))
        say(f"{setting}: done")
    write_csv(HOME / "results.csv", reached)
    plot(reached, _PLOT)
    say(table(reached))
    for finding in findings(reached):
        say(finding)
    say(f"figure 8 for these drawings: {_PLOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
