"""From the command to the first embedded batch, and what the time is spent on: cold, and with compiled programs cached.

    python -m benchmarks.first_batch [--tower NAME] [--images N]

`lit-embed run` on a tar of the demo's emoji, EfficientNet-Lite0 with its published weights, the batch size by a trial;
each in a process of its own, whose files are in the page cache. `cached` has JAX's persistent compilation
cache (JAX_COMPILATION_CACHE_DIR), filled by a run before it; `given` has --batch-size instead of the trial, `both` has
both. Each part is timed without those inside it. There is no goal.
"""

import argparse
import collections
import contextlib
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

PARTS = (
    "Python and this package",
    "import of JAX",
    "import of Beam",
    "import of TensorFlow",
    "listing",
    "looking into files",
    "weights",
    "compiling and trying batch sizes",
    "compiling the chosen size",
    "Beam's start, reading, the first batch",
)
ROUNDS, BATCH_SIZE = 2, 16


class Clock:
    """Seconds by part; a part inside another is counted once."""

    def __init__(self, began_s: float) -> None:
        """Takes when the process was started, in seconds since the epoch."""
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self._parts, self._since_s = [PARTS[-1]], began_s

    def count(self) -> None:
        """Gives the time since the last call to the part that is under way."""
        now_s = time.time()
        self.seconds[self._parts[-1]] += now_s - self._since_s
        self._since_s = now_s

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the block as a part."""
        self.count()
        self._parts.append(name)
        try:
            yield
        finally:
            self.count()
            self._parts.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function that counts as a part."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return wrapped


def run(arguments: list[str], began_s: float) -> dict[str, float]:
    """Runs lit-embed in this process until its first batch is embedded; returns the seconds of each part."""
    clock = Clock(began_s)
    clock.seconds[PARTS[0]] = 0.0
    with clock.part(PARTS[0]):
        from lit_precompute.commands import embed
        from lit_precompute.pipelines.embed import launch
    clock.seconds[PARTS[0]] += clock.seconds.pop(PARTS[-1], 0.0)  # the interpreter's start
    with clock.part(PARTS[1]):
        import jax

        jax.devices()
    with clock.part(PARTS[2]):
        from lit_precompute.pipelines.embed import graph
        from lit_precompute.pipelines.embed.workers import preparing, process_registry

        assert graph
    with clock.part(PARTS[3]):
        from lit_precompute.precompute.images.libraries import host_tensorflow

        host_tensorflow()
    changes = (
        (launch, "find_source", PARTS[4]),
        (launch, "look_here", PARTS[5]),
        (process_registry, "load_tower", PARTS[6]),
        (preparing, "probe", PARTS[7]),
        (preparing, "try_batch", PARTS[8]),
    )

    def add(self: Any, *, num_rows: int, num_failures: int) -> None:
        clock.count()
        sys.stdout.write(json.dumps(clock.seconds) + "\n")
        sys.stdout.flush()
        os._exit(0)

    with contextlib.ExitStack() as patches:
        for module, name, part in changes:
            patches.enter_context(mock.patch.object(module, name, clock.timed(part, getattr(module, name))))
        patches.enter_context(mock.patch.object(process_registry.JobProgress, "add", add))
        patches.enter_context(mock.patch.object(sys, "argv", ["lit-embed", *arguments]))
        embed.main()
    raise AssertionError("no batch was embedded")


def in_child(arguments: list[str], cache: str | None) -> dict[str, float]:
    """Returns the seconds of each part, of a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.first_batch", "--child", str(time.time()), *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}
    if cache:
        variables |= {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables).stdout
    return json.loads(output.splitlines()[-1])


def main() -> int:
    """Prints the parts."""
    if sys.argv[1:2] == ["--child"]:
        run(sys.argv[3:], float(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tower", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, default=1024)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        from benchmarks import embed_job, jobs

        folder, tars = pathlib.Path(name), pathlib.Path(name, "tars")
        tars.mkdir()
        jobs.write_tars(tars, embed_job.encoded(folder, asked.images, photographs=False))
        columns: dict[str, list[dict[str, float]]] = {"cold": [], "cached": [], "given": [], "both": []}
        command = ["run", "--source", str(tars), "--tower", asked.tower, "--resize", "square"]
        in_child([*command, "--output", f"{name}/fills"], f"{name}/cache")
        for number in range(ROUNDS):
            for kind, found in columns.items():
                cache = f"{name}/cache" if kind in ("cached", "both") else None
                size = ["--batch-size", str(BATCH_SIZE)] if kind in ("given", "both") else []
                found.append(in_child([*command, *size, "--output", f"{name}/{kind}-{number}"], cache))
    best = {kind: min(found, key=lambda parts: sum(parts.values())) for kind, found in columns.items()}
    sys.stdout.write(f"the first batch of {asked.tower}, the faster of {ROUNDS}; given: --batch-size {BATCH_SIZE}\n")
    sys.stdout.write(f"{'':<42}{''.join(f'{kind:>8}' for kind in columns)}\n")
    for part in PARTS:
        sys.stdout.write(f"  {part:<40}" + "".join(f"{found.get(part, 0.0):>8.2f}" for found in best.values()) + "\n")
    sys.stdout.write(f"  {'seconds':<40}" + "".join(f"{sum(found.values()):>8.2f}" for found in best.values()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
