"""The demo's figures, on the machine that made them the same to the last digit whatever changes in the code.

    python -m tests.golden.demo FOLDER            # runs the demo there and compares with figures.json
    python -m tests.golden.demo FOLDER --write    # writes figures.json; once, on 2026-11-28

Runs the demo's commands in a fresh folder with `--batch-size 64`: a size by trial depends on the machine.
Other processors round otherwise: there the figures differ in their last digits.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from array_record.python.array_record_module import ArrayRecordWriter

from demo import data
from lit_precompute.schemas import Manifest

# Of the lines of metrics: they differ from run to run.
TIMES = ("pairs_per_second", "waiting_share")
FIGURES = pathlib.Path(__file__).with_name("figures.json")
_COMMANDS = pathlib.Path(sys.executable).parent


def _run(folder: pathlib.Path, command: str, *arguments: str) -> str:
    # A cache of its own: nothing comes from an earlier run.
    environment = os.environ | {"LIT_PRECOMPUTE_CACHE": str(folder.absolute() / "cache")}
    result = subprocess.run(
        [str(_COMMANDS / command), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return result.stdout


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shards(dataset: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Yields each table's only file by its name in format version 2, and the hash that it had there.

    Version 3 has no file without rows, and keeps a single block without a container.
    """
    manifest = Manifest.read(dataset)
    for table in manifest.tables:
        file = manifest.shards.file(table.name, 0)
        path = dataset / file.name if file else None
        if path is None or path.suffix == ".arrow":
            blocks = [] if path is None else [path.read_bytes()]
            path = dataset.parent / f"{dataset.name}-{table.name}.arrayrecord"
            writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
            for block in blocks:
                writer.write(block)
            writer.close()
        yield f"{dataset.name}/{table.name}/part-00000-of-00001.arrayrecord", _sha256(path)


def compute(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the hashes of what the demo writes, and what it measures."""
    folder.mkdir(parents=True)
    data.prepare(folder)
    tower = ["--tower", "efficientnet-lite0", "--resize", "square", "--batch-size", "64"]
    for part in ("train", "heldout"):
        _run(folder, "lit-embed", "run", "--source", f"{part}.tsv", *tower, "--output", part)
    _run(folder, "lit-tune", "--dataset", "train", "--recipe", "demo", "--output", "run")
    held_out = ["--model", "run/model", "--dataset", "heldout", "--json"]
    metrics = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return {
        "fingerprint": Manifest.read(folder / "train").tower.fingerprint,
        "shards": {name: digest for part in ("heldout", "train") for name, digest in _shards(folder / part)},
        "parameters": _sha256(folder / "run/model/parameters.safetensors"),
        "metrics": [{key: value for key, value in line.items() if key not in TIMES} for line in metrics],
        "zero_shot": json.loads(_run(folder, "lit-eval", "zero-shot", *held_out, "--classes", "subcategories.txt")),
        "retrieval": json.loads(_run(folder, "lit-eval", "retrieval", *held_out)),
    }


def differences(found: Any, golden: Any, where: str = "") -> list[str]:
    """Returns where two JSON values differ; what `found` has beside is not compared."""
    if isinstance(golden, dict) and isinstance(found, dict):
        return [line for key, value in golden.items() for line in differences(found.get(key), value, f"{where}.{key}")]
    if isinstance(golden, list) and isinstance(found, list) and len(golden) == len(found):
        return [
            line for place, value in enumerate(golden) for line in differences(found[place], value, f"{where}.{place}")
        ]
    return [] if found == golden else [f"{where}: must be {golden!r}, got {found!r}"]


def main() -> int:
    """Compares; returns 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    found = compute(asked.folder)
    if asked.write:
        FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    lines = differences(found, json.loads(FIGURES.read_text(encoding="utf-8")))
    sys.stdout.write("\n".join(lines or ["the demo's figures are the golden ones"]) + "\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
