"""Points of a job at which a process can be stopped: every operation, counted by the phase it belongs to.

    looking      the source is looked into, the plan is stored
    decoding     one image is read, decoded and prepared
    writing      rows are added to a shard, an attempt is recorded
    uploading    a finished file of a shard, or its marker, gets its name
    publishing   lists and manifest are written, what only an unfinished job needs is removed
    withdrawing  a finished dataset is taken back into a job, in order to retry failures; not one of `PHASES`

`watch` is called in a process that was forked for one command: it changes the classes there for good.
"""

import contextlib
import dataclasses
import functools
import inspect
import json
import os
import pathlib
import random
import signal
import threading
import time

from lit_precompute.pipelines.embed import launch
from lit_precompute.pipelines.embed.directory.attempts import Attempts
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import Markers
from lit_precompute.pipelines.embed.planning import found_source
from lit_precompute.pipelines.embed.retry import Retry
from lit_precompute.pipelines.embed.workers import publish, unit
from lit_precompute.precompute.images import ahead
from lit_precompute.precompute.sources.webdataset.units import WebdatasetSource
from lit_precompute.schemas import ShardWriter
from lit_precompute.schemas.storage.local_folder import LocalFolder
from lit_precompute.schemas.storage.remote_folder import RemoteFolder

PHASES = ("looking", "decoding", "writing", "uploading", "publishing")

# Operations of their own, and what gives a phase to the operations on folders within.
_OPERATIONS = (
    ("looking", WebdatasetSource, "look"),
    ("decoding", ahead, "outcome_of"),
    ("writing", ShardWriter, "append"),
)
_SCOPES = (
    ("looking", JobDirectory, "claim"),
    ("looking", launch, "find_source"),
    ("writing", Attempts, "begin"),
    ("uploading", ShardWriter, "finish"),
    ("uploading", Markers, "write"),
    ("publishing", publish.Publish, "process"),
    ("withdrawing", Retry, "begin"),
)
_ON_FOLDERS = ("exists", "read", "write", "create", "upload", "find", "remove", "remove_folder")
assert found_source and unit  # imported before they are changed


@dataclasses.dataclass(frozen=True)
class Aim:
    """When a process gets a signal: so many seconds after the beginning of a phase's operation, counted from 1.

    So do the processes that it has started, unless it `is_alone`.
    """

    phase: str
    number: int
    after_s: float = 0.0
    signal: int = signal.SIGKILL
    is_alone: bool = False


class Journal:
    """What happened in a process: how long each operation of each phase took; carries out an `Aim`."""

    def __init__(self, path, aim):
        self._path, self._aim = pathlib.Path(path), aim
        self._lock, self._scope = threading.Lock(), threading.local()
        self._counts = dict.fromkeys((*PHASES, "withdrawing"), 0)
        self._seconds = {phase: [] for phase in self._counts}

    @contextlib.contextmanager
    def operation(self, phase):
        with self._lock:
            self._counts[phase] += 1
            is_aim = self._aim and (phase, self._counts[phase]) == (self._aim.phase, self._aim.number)
        if is_aim:
            self._path.write_text(json.dumps({"reached": phase}))
            if self._aim.after_s:
                threading.Thread(target=self._carry_out, daemon=True).start()
            else:
                self._carry_out()
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[phase].append(time.monotonic() - started)

    @contextlib.contextmanager
    def scope(self, phase):
        before, self._scope.phase = self.phase, phase
        try:
            yield
        finally:
            self._scope.phase = before

    @property
    def phase(self):
        """The phase of this thread's operations on folders; None if they are not counted."""
        return getattr(self._scope, "phase", None)

    def close(self):
        """Writes what happened, unless a signal came before."""
        if not self._path.exists():
            self._path.write_text(json.dumps({"seconds": self._seconds}))

    def _carry_out(self):
        time.sleep(self._aim.after_s)
        send = os.kill if self._aim.is_alone else os.killpg
        send(os.getpid(), self._aim.signal)


def draw_aim(generator, seconds, phase, number=signal.SIGKILL):
    """Returns a random moment of a phase, from how long its operations took without a disturbance."""
    operation = generator.randrange(len(seconds[phase]))
    return Aim(phase, operation + 1, generator.uniform(0, 1.2 * seconds[phase][operation]), int(number))


def watch(path, aim=None):
    """Keeps a journal of this process from now on, and returns it."""
    journal = Journal(path, aim)
    for phase, owner, name in _OPERATIONS:
        _wrap(owner, name, lambda phase=phase: journal.operation(phase))
    for phase, owner, name in _SCOPES:
        _wrap(owner, name, lambda phase=phase: journal.scope(phase))

    def on_folder():
        return journal.operation(journal.phase) if journal.phase else contextlib.nullcontext()

    for kind in (LocalFolder, RemoteFolder):
        for name in _ON_FOLDERS:
            _wrap(kind, name, on_folder)
    return journal


def _wrap(owner, name, around):
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*given, **named):
        with around():
            return function(*given, **named)

    @functools.wraps(function)
    def generated(*given, **named):
        with around():
            yield from function(*given, **named)

    setattr(owner, name, generated if inspect.isgeneratorfunction(function) else wrapped)


def seeded(*parts):
    """Returns random numbers that a seed and some words determine."""
    return random.Random(":".join(map(str, parts)))
