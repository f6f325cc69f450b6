"""How much a pre-trained start of the text tower gives: the paper's Lu, LU and LL on the demo's data, with two losses.

    make demo && .venv/bin/python -m benchmarks.starts [NUM_SEEDS [START ...]]

1,603 emoji to tune on and 300 to evaluate on, which `make demo` embeds. The text tower is MiniLM (six blocks of 384,
whose weights a package has), from a random start (Lu), from its weights (LU), and locked but for its head (LL); beside
them is the demo's own tower of whole words. Each is also trained with the sigmoid loss, and the locked one with a gated
head on the image side. Of two learning rates the one counts that retrieves better among 300 of the
1,603 after tuning on the others; nothing is chosen by the 300 that are evaluated on. All starts take an hour on two
cores, unless some are named; what is in .demo/starts is not repeated.
"""

import json
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from demo.__main__ import FOLDER, MINILM
from lit_precompute.tune.evaluation.statistics import mean_interval

_SIGMOID = ("--loss.kind", "sigmoid")
# A gated head on the image side, into the width that the text side's linear head has then, too.
_HEADS = ("--image-side.head.kind", "gated", "--image-side.head-width", "512")
_LU, _LL = (*MINILM, "--setting", "LU"), (*MINILM, "--setting", "LL")
STARTS = {
    "words, Lu": (),
    "words, Lu, sigmoid": _SIGMOID,
    "MiniLM, Lu": (*MINILM, "--setting", "Lu"),
    "MiniLM, LU": _LU,
    "MiniLM, LU, sigmoid": (*_LU, *_SIGMOID),
    "MiniLM, LL": _LL,
    "MiniLM, LL, sigmoid": (*_LL, *_SIGMOID),
    "MiniLM, LL with heads": (*_LL, *_HEADS),
    "MiniLM, LL with heads, sigmoid": (*_LL, *_HEADS, *_SIGMOID),
}
RATES = {
    "words, Lu": ("2e-3",),
    "MiniLM, Lu": ("5e-4", "1e-3"),
    "MiniLM, LU": ("2e-4", "5e-4"),
    "MiniLM, LL": ("2e-3", "1e-2"),
    "MiniLM, LL with heads": ("1e-3", "2e-3"),
}
RESULTS = FOLDER / "starts"
_COMMANDS = pathlib.Path(sys.executable).parent
_FIT, _CHECK = RESULTS / "fit.selection", RESULTS / "check.selection"
_NUM_CHECKED = 300
_HEAD = "| start | rate | image to text R@5 | text to image R@5 | zero-shot top 1 |\n|---|---|---|---|---|\n"


class Score(NamedTuple):
    """What a tuned model reaches, in percent."""

    image_to_text: float
    text_to_image: float
    zero_shot: float


def split() -> None:
    """Writes the selections of the rows to choose rates by."""
    if not _CHECK.exists():
        RESULTS.mkdir(parents=True, exist_ok=True)
        select = ["lit-data", "select", f"{FOLDER}/train", "--output"]
        _run([*select, str(_CHECK), "--random", str(_NUM_CHECKED), "--seed", "0"])
        _run([*select, str(_FIT), "--none-of", str(_CHECK)])


def tune(start: str, rate: str, seed: int, *more: str) -> pathlib.Path:
    """Returns the output of a run; one that has finished is not repeated."""
    part = "fit" if more else "all"
    output = RESULTS / f"{start.replace(', ', '-').replace(' ', '-')}-{rate}-{seed}-{part}"
    command = ["lit-tune", "--dataset", f"{FOLDER}/train", "--recipe", "demo", "--output", str(output)]
    flags = [*STARTS[start], "--optimizer.learning-rate", rate, "--seed", str(seed), *more]
    _run([*command, *flags])
    return output


def score(output: pathlib.Path, dataset: str, *more: str) -> Score:
    """Evaluates a run's model on a dataset, or on the rows of a selection."""
    common = ["--model", f"{output}/model", "--dataset", f"{FOLDER}/{dataset}", "--json", *more]
    found = json.loads(_run(["lit-eval", "retrieval", *common]))
    zero_shot = json.loads(_run(["lit-eval", "zero-shot", *common, "--classes", f"{FOLDER}/subcategories.txt"]))
    values = (found["image_to_text"]["recall_at_5"], found["text_to_image"]["recall_at_5"], zero_shot["top1"])
    return Score(*(100 * value["value"] for value in values))


def best_rate(start: str) -> str:
    """Returns the rate whose model retrieves better among rows that it was not tuned on."""
    rates = RATES[start.removesuffix(", sigmoid")]
    if len(rates) == 1:
        return rates[0]
    found: dict[str, float] = {}
    for rate in rates:
        reached = score(tune(start, rate, 0, "--selection", str(_FIT)), "train", "--selection", str(_CHECK))
        found[rate] = reached.image_to_text + reached.text_to_image
        sys.stderr.write(f"{start}, rate {rate}: {reached}\n")
    return max(found, key=lambda rate: found[rate])


def _in_words(values: Sequence[float]) -> str:
    """Returns the mean, and how far its interval reaches to either side."""
    mean = statistics.mean(values)
    return f"{mean:.1f} +- {mean_interval(values)[1] - mean:.1f}"


def _run(command: list[str]) -> str:
    done = subprocess.run([str(_COMMANDS / command[0]), *command[1:]], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main() -> int:
    """Prints a table: means over seeds with Student's 95 % intervals."""
    num_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    split()
    sys.stdout.write(_HEAD)
    for start in sys.argv[2:] or STARTS:
        rate = best_rate(start)
        scores = [score(tune(start, rate, seed), "heldout") for seed in range(num_seeds)]
        columns = [_in_words(values) for values in zip(*scores, strict=True)]
        sys.stdout.write(f"| {start} | {rate} | {' | '.join(columns)} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
