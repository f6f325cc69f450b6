"""Embedding jobs as benchmarks run them: sources of images, stores, and the rate after a job's first batch."""

import contextlib
import dataclasses
import io
import os
import pathlib
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from unittest import mock

import fsspec
import jax
import jax.numpy as jnp
import numpy as np

from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.workers import process_registry
from lit_precompute.pipelines.embed.workers.process_registry import JobProgress
from lit_precompute.towers.family import Entry, Family, TowerConfig
from lit_precompute.towers.loading import untrained_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import register, tower_names
from tests.stores.servers import started

ROWS_PER_TAR = 500


CONSTANT, SIDE = "benchmark-constant", 224


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Config(TowerConfig):
    """A configuration of which nothing matters."""

    @property
    def output_width(self) -> int:
        return 8


def _constant(config: _Config, parameters: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
    return jnp.broadcast_to(parameters["bias"], (len(images), config.output_width))


def constant_tower(weights: pathlib.Path) -> ImageTowerOptions:
    """Returns a tower that looks at no image, so that nothing but a job's other work takes time; writes its weights."""
    if CONSTANT not in tower_names():
        family = Family(
            name=CONSTANT,
            poolings=("all",),
            parameter_shapes=lambda config: {"bias": (config.output_width,)},
            apply=_constant,
        )
        config = _Config(resolution=SIDE, pooling="all")
        register(CONSTANT, Entry(family=family, config=config, preprocessing=Preprocessing(size=SIDE)))
    np.savez(weights, bias=np.ones(8, np.float32))
    return ImageTowerOptions(name=CONSTANT, weights=str(weights))


class Mark(NamedTuple):
    """When a batch was finished: by the clock, and by the CPU time of this process and those it has waited for."""

    wall_s: float
    cpu_s: float
    num_rows: int


class TimedProgress(JobProgress):
    """Records when each batch was finished."""

    def __init__(self) -> None:
        """Starts empty."""
        super().__init__()
        self.marks: list[Mark] = []

    def add(self, *, num_rows: int, num_failures: int) -> None:
        """Counts a batch and records the time."""
        super().add(num_rows=num_rows, num_failures=num_failures)
        self.marks.append(Mark(time.perf_counter(), time.process_time(), num_rows))


class Rate(NamedTuple):
    """How fast images were embedded or prepared: per second, and per CPU second of this process."""

    per_second: float
    per_cpu_second: float


class JobRun(NamedTuple):
    """A job: its rate after the first batch, the seconds until then, and those from the last batch to its end."""

    rate: Rate
    until_first_s: float
    after_last_s: float


def run_job(options: EmbedOptions) -> JobRun:
    """Runs a job in this process."""
    progress, launch = TimedProgress(), Launch(options)
    started_s = time.perf_counter()
    with mock.patch.object(process_registry, "JobProgress", lambda: progress):
        launch.run()
    ended_s = time.perf_counter()
    first, last = progress.marks[0], progress.marks[-1]
    num_images = sum(mark.num_rows for mark in progress.marks[1:])
    rate = Rate(num_images / (last.wall_s - first.wall_s), num_images / (last.cpu_s - first.cpu_s))
    return JobRun(rate, first.wall_s - started_s, ended_s - last.wall_s)


def write_tars(folder: pathlib.Path, encoded: Iterable[tuple[str, bytes]]) -> list[pathlib.Path]:
    """Writes images, given as (name, bytes), with a text each; returns the tars."""
    tars: list[pathlib.Path] = []
    with contextlib.ExitStack() as files:
        for number, (name, data) in enumerate(encoded):
            if number % ROWS_PER_TAR == 0:
                tars.append(folder / f"{len(tars):05d}.tar")
                tar = files.enter_context(tarfile.open(tars[-1], "w"))
            for member, content in ((name, data), (f"{pathlib.Path(name).stem}.txt", b"a text")):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return tars


@contextlib.contextmanager
def fake_gcs(files: Iterable[pathlib.Path]) -> Iterator[str]:
    """Yields the URL of a bucket of the tests' fake GCS that has these files in `source`; it shares this machine."""
    with started("gs", "run_gcs.py") as server, server.selected():
        bucket = server.make_bucket()
        for path in files:
            with fsspec.open(f"{bucket}/source/{path.name}", "wb") as target:
                target.write(path.read_bytes())  # pyright: ignore[reportAttributeAccessIssue]
        yield bucket


@contextlib.contextmanager
def without_weights() -> Iterator[str]:
    """Makes towers random during the block; yields what to give as their weights."""

    def load(name: str, weights: str, **options: object) -> object:
        return untrained_tower(ImageTowerOptions(name=name, **options))  # pyright: ignore[reportArgumentType]

    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    try:
        with mock.patch.object(process_registry, "load_tower", load):
            yield name
    finally:
        pathlib.Path(name).unlink()
