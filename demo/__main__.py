"""`make demo`: embeds, tunes and evaluates on 1,903 emoji with the commands that a user would type.

Resumes from what is in .demo/: a second run repeats only what is missing.
"""

import pathlib
import shlex
import subprocess
import sys
import time

from demo import data

FOLDER = pathlib.Path(".demo")
_COMMANDS = pathlib.Path(sys.executable).parent
_PAGE = FOLDER / "heldout.html"


def commands() -> list[list[str]]:
    """Returns the commands: embed, verify, tune, evaluate, show."""
    tower = ["--tower", "efficientnet-lite0", "--resize", "square"]
    embed = [
        ["lit-embed", "run", "--source", f"{FOLDER}/{part}.tsv", *tower, "--output", f"{FOLDER}/{part}"]
        for part in ("train", "heldout")
    ]
    held_out = ["--model", f"{FOLDER}/run/model", "--dataset", f"{FOLDER}/heldout"]
    return [
        *embed,
        ["lit-data", "verify", f"{FOLDER}/train"],
        ["lit-tune", "--dataset", f"{FOLDER}/train", "--recipe", "demo", "--output", f"{FOLDER}/run"],
        ["lit-eval", "zero-shot", *held_out, "--classes", f"{FOLDER}/subcategories.txt"],
        ["lit-eval", "retrieval", *held_out],
        ["lit-eval", "show", *held_out, "--output", str(_PAGE)],
    ]


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
    started = time.monotonic()
    sys.stdout.write("1,903 emoji of OpenMoji (CC BY-SA 4.0); 300 are held out before anything is trained\n")
    data.prepare(FOLDER)
    times = [(command[0].removeprefix("lit-"), run(command)) for command in commands()]
    spent = ", ".join(f"{name} {seconds:.0f}" for name, seconds in times)
    sys.stdout.write(f"\n{time.monotonic() - started:.0f} s in total: {spent}\n")
    sys.stdout.write(f"look at {_PAGE.absolute()}\n\ntry next:\n")
    held_out = f"--model {FOLDER}/run/model --dataset {FOLDER}/heldout"
    sys.stdout.write(f"  lit-eval show {held_out} --seed 1 --output {FOLDER}/more.html\n")
    sys.stdout.write(f"  lit-data info {FOLDER}/train\n")
    sys.stdout.write(
        f"  lit-tune --dataset {FOLDER}/train --recipe demo --output {FOLDER}/run-2 --text-tower.depth 2\n"
    )
    sys.stdout.write(f"(the commands are in {_COMMANDS}; `source {_COMMANDS}/activate` puts them on the path)\n")


if __name__ == "__main__":
    main()
