"""Attempts at units, recorded before they begin: a process that runs out of memory is killed and cannot say so.

Promises: of the attempts at one unit, at most `MAX_ATTEMPTS` end without a word or with an error of the same launch;
the next one finds the unit set aside. Engines try again what fails, some of them forever, others until the whole job
fails. The record of a long attempt is written again now and then, as a sign of life.
"""

import contextlib
import json
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from lit_precompute.pipelines.embed.reporting.worker import worker_name
from lit_precompute.schemas.storage import WORK_FOLDER, Folder

MAX_ATTEMPTS = 3
SIGN_EVERY_S = 60.0  # writing one to a store takes a tenth of a second
_FOLDER = f"{WORK_FOLDER}/attempts"
_UNKNOWN = "the process ended without a word, as it does when it runs out of memory"


class Attempt(NamedTuple):
    """An attempt at a unit that has begun.

    Attributes:
      unit: the unit.
      number: the record's number, from 1; an error of an earlier launch gives its number back.
      num_forgiven: attempts whose numbers were given back.
    """

    unit: int
    number: int
    num_forgiven: int = 0

    @property
    def order(self) -> int:
        """Which attempt at the unit it is, from 1."""
        return self.number + self.num_forgiven


class SetAside(NamedTuple):
    """A unit that is not attempted any more, and why."""

    unit: int
    why: str


class FoundAttempt(NamedTuple):
    """The latest attempt at a unit as its record tells.

    Attributes:
      number: which one.
      error: why it ended; "" if it goes on, or ended without a word.
      worker: the process.
      began, last_sign: seconds since 1970; 0.0 if not known.
      num_rows: rows that it had embedded at its last sign of life.
    """

    number: int
    error: str = ""
    worker: str = ""
    began: float = 0.0
    last_sign: float = 0.0
    num_rows: int = 0


class Attempts:
    """The attempts at the units of one job."""

    def __init__(self, folder: Folder, launch: str, clock: Callable[[], float] = time.time):
        """Takes the output, the name of the launch, and what returns the seconds since 1970."""
        self._folder, self._launch, self._clock = folder, launch, clock

    def begin(self, unit: int) -> Attempt | SetAside:
        """Records an attempt, unless too many have failed."""
        why, num_forgiven = _UNKNOWN, 0
        for number in range(1, MAX_ATTEMPTS + 1):
            attempt = Attempt(unit, number, num_forgiven)
            if self._folder.create(_name(attempt), self._record(attempt, began=self._clock())):
                return attempt
            found = self._read(attempt)
            num_forgiven = found.get("num_forgiven", 0)
            if "error" in found and found["launch"] != self._launch:  # its cause may have been mended
                attempt = attempt._replace(num_forgiven=num_forgiven + 1)
                self._folder.write(_name(attempt), self._record(attempt, began=self._clock()))
                return attempt
            why = found.get("error", why)
        return SetAside(unit, why)

    def give_sign(self, attempt: Attempt, *, began: float, num_rows: int) -> None:
        """Records that an attempt goes on, if the output can be reached just now.

        Args:
          attempt: which one.
          began: when it began, in seconds since 1970.
          num_rows: rows that it has embedded since.
        """
        with contextlib.suppress(OSError):
            self._folder.write(_name(attempt), self._record(attempt, began=began, num_rows=num_rows))

    def fail(self, attempt: Attempt, why: str) -> None:
        """Records that an attempt has ended with an error."""
        self._folder.write(_name(attempt), self._record(attempt, error=why))

    def forget(self, attempt: Attempt) -> None:
        """Takes back an attempt that was ended on request."""
        self._folder.remove(_name(attempt))

    def forget_unit(self, unit: int) -> None:
        """Takes back all attempts at a unit, so that the next launch attempts it again."""
        self._folder.remove(*(_name(Attempt(unit, number)) for number in range(1, MAX_ATTEMPTS + 1)))

    def find(self, *, without: Collection[int] = ()) -> dict[int, FoundAttempt]:
        """Returns the latest attempt at each unit that was attempted, but for some units."""
        latest: dict[int, int] = {}
        for name in sorted(self._folder.find(_FOLDER)):
            unit, _, number = name.partition("-")
            if int(unit) not in without:
                latest[int(unit)] = int(number)
        return {unit: self._found(Attempt(unit, number)) for unit, number in latest.items()}

    def _found(self, attempt: Attempt) -> FoundAttempt:
        record = self._read(attempt)
        names = ("error", "worker", "began", "last_sign", "num_rows")
        return FoundAttempt(attempt.number, **{name: record[name] for name in names if name in record})

    def _record(self, attempt: Attempt, **more: Any) -> bytes:
        about = {"launch": self._launch, "worker": worker_name(), "num_forgiven": attempt.num_forgiven}
        return json.dumps({**about, "last_sign": self._clock(), **more}).encode()

    def _read(self, attempt: Attempt) -> dict[str, Any]:
        try:
            return json.loads(self._folder.read(_name(attempt)))
        except FileNotFoundError:  # taken back a moment ago
            return {"launch": self._launch}


def _name(attempt: Attempt) -> str:
    return f"{_FOLDER}/{attempt.unit:05d}-{attempt.number}"
