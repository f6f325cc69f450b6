"""Reads containers/Dockerfile: the instructions of a target, those of the stages that it comes from included."""

import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILE = ROOT / "containers/Dockerfile"
TARGETS = ("cpu", "cuda", "tpu")


class Instruction(NamedTuple):
    """One instruction: its word in capitals, and the rest with continued lines joined."""

    word: str
    rest: str


def read_instructions(text):
    """Returns the file's instructions, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def arguments(text):
    """Returns the build's arguments with their defaults."""
    pairs = (each.rest.partition("=") for each in read_instructions(text) if each.word == "ARG" and "=" in each.rest)
    return {name: value for name, _, value in pairs}


def stages(text):
    """Returns each stage's name with (the image or stage that it begins from, its instructions)."""
    found, current = {}, []
    for each in read_instructions(text):
        if each.word == "FROM":
            base, _, name = each.rest.partition(" AS ")
            current = []
            found[name.strip()] = (base.strip(), current)
        elif each.word != "ARG":
            current.append(each)
    return found


def instructions_of(text, target):
    """Returns all instructions of a target, in the order in which they act."""
    base, own = stages(text)[target]
    return (instructions_of(text, base) if base in stages(text) else []) + own
