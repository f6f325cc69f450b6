"""The registry of a process: progress of its jobs, requests to stop them, and what is loaded for them.

Functions that run in workers are pickled, and a local runner blocks its launcher. So a launcher and the workers in its
process share state here, by the job's output. Workers elsewhere have their own registry; their launcher sees only
finished shards.

Promises: thread-safe; towers, embedders and preparers are loaded once for all threads, and only the latest are kept: of
towers and embedders as many as a job embeds with.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.embedding import TowerUse, make_preparer
from lit_precompute.precompute.images.ahead import Preparer
from lit_precompute.precompute.machine import device_kind
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.schemas import Environment, current_environment
from lit_precompute.schemas.storage import num_retried
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.tower import ImageTower

# Modules that embeddings depend on, each with the distribution that usually provides it.
_LIBRARIES = {"jax": "jax", "tensorflow": "tensorflow-cpu", "PIL": "pillow"}


class Load(NamedTuple):
    """A tower that was put on the devices: the seconds that it took, and the bytes of its parameters."""

    seconds: float
    num_bytes: int


class JobProgress:
    """Rows that a job has embedded in this process, and whether it should stop."""

    def __init__(self) -> None:
        """Starts at zero."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._stopped_s: float | None = None
        self._units = 0
        self._unit_ended = threading.Condition()
        self.num_rows = 0
        self.num_failures = 0

    def add(self, *, num_rows: int, num_failures: int) -> None:
        """Counts embedded and failed rows."""
        with self._lock:
            self.num_rows += num_rows + num_failures
            self.num_failures += num_failures

    @property
    def is_stop_requested(self) -> bool:
        """Whether the launcher has requested a stop."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Stops the job's units in this process after the current batch."""
        self._stopped_s = self._stopped_s or time.monotonic()
        self._stop.set()

    def is_hanging(self, timeout_s: float) -> bool:
        """Returns whether a unit of this process has gone on for so long after the request to stop."""
        return self._units > 0 and self._stopped_s is not None and time.monotonic() > self._stopped_s + timeout_s

    @contextlib.contextmanager
    def unit(self) -> Iterator[None]:
        """Counts a unit as being in progress during the block."""
        with self._unit_ended:
            self._units += 1
        try:
            yield
        finally:
            with self._unit_ended:
                self._units -= 1
                self._unit_ended.notify_all()

    def wait_for_units(self, timeout_s: float) -> bool:
        """Waits until no unit is in progress in this process, but not longer than this; returns whether none is."""
        with self._unit_ended:
            return self._unit_ended.wait_for(lambda: self._units == 0, timeout_s)


class ProcessRegistry:
    """What this process keeps for its jobs."""

    def __init__(self) -> None:
        """Starts empty."""
        self._lock, self._loading = threading.Lock(), threading.RLock()
        self._jobs: dict[str, JobProgress] = {}
        self._loaded: dict[str, dict[Hashable, Any]] = {}
        self._num_towers = 1
        self._num_retried = 0
        self._loads: list[Load] = []
        self._load_s: dict[ImageTowerOptions, float] = {}

    @contextlib.contextmanager
    def launching(self, output: str, progress: JobProgress) -> Iterator[None]:
        """Registers the progress of the job that writes to `output`, until the launch ends."""
        with self._lock:
            self._jobs[output] = progress
        try:
            yield
        finally:
            with self._lock:
                self._jobs.pop(output, None)

    def progress(self, output: str) -> JobProgress:
        """Returns the progress of the job that writes to `output`; a new one if it was launched elsewhere."""
        with self._lock:
            return self._jobs.setdefault(output, JobProgress())

    def take_retried(self) -> int:
        """Returns how many reads of this process were tried again since the last call; each is given out once."""
        with self._lock:
            before, self._num_retried = self._num_retried, num_retried()
            return self._num_retried - before

    def make_room(self, num_towers: int) -> None:
        """Keeps this many towers and embedders from now on: those of one job."""
        with self._loading:
            self._num_towers = num_towers

    def environment(self) -> Environment:
        """Returns what embeds here: the devices and the libraries that embeddings depend on."""
        return self._once("environment", (), lambda: current_environment(device_kind(), _LIBRARIES))

    def tower(self, options: ImageTowerOptions) -> ImageTower:
        """Returns the loaded tower."""

        def load() -> ImageTower:
            started_s = time.perf_counter()
            tower = load_tower(**dataclasses.asdict(options))
            self._load_s[options] = time.perf_counter() - started_s
            return tower

        return self._once("tower", options, load, most=self._num_towers)

    def embedder(self, options: ImageTowerOptions, batch_size: int, tried: Embedder | None = None) -> Embedder:
        """Returns the embedder: the tower on the devices.

        Args:
          options: the tower.
          batch_size: the shape that is compiled.
          tried: an embedder of the two that a trial has compiled; it is kept instead of a new one.
        """

        def load() -> Embedder:
            tower, started_s = self.tower(options), time.perf_counter()
            embedder = tried or Embedder(tower, batch_size=batch_size)
            load_s = self._load_s.pop(options, 0.0) + time.perf_counter() - started_s
            self._loads.append(Load(load_s, sum(parameter.nbytes for parameter in tower.parameters.values())))
            # With the parameters on the devices, so that those in the host's memory are let go.
            self._loaded["tower"][options] = embedder.tower
            return embedder

        return self._once("embedder", (options, batch_size), load, most=self._num_towers)

    def take_loads(self) -> list[Load]:
        """Returns the towers that were loaded since the last call."""
        with self._loading:
            loads, self._loads = self._loads, []
            return loads

    def preparer(self, uses: Sequence[TowerUse], decoding: DecodingOptions) -> Preparer:
        """Returns what prepares images for some towers of this registry; it may own processes."""
        return self._once(
            "preparer",
            (tuple(uses), decoding),
            lambda: make_preparer(
                uses,
                decode_in=decoding.decode_in,
                num_workers=decoding.count_workers(),
                max_pixels=decoding.max_pixels,
                max_pixels_in_flight=decoding.max_pixels_in_flight,
                timeout_s=decoding.timeout_per_image,
            ),
        )

    def _once(self, kind: str, key: Hashable, load: Callable[[], Any], *, most: int = 1) -> Any:
        with self._loading:
            loaded = self._loaded.setdefault(kind, {})
            value = loaded.pop(key, None)
            while len(loaded) >= most:
                del loaded[next(iter(loaded))]  # before the next is loaded: both may not fit the memory
            loaded[key] = value if value is not None else load()  # the last one used is the last
            return loaded[key]


PROCESS = ProcessRegistry()
