"""Attempts at units, recorded before they begin: a process that runs out of memory is killed and cannot say so.

Promises: of the attempts at one unit, at most `MAX_ATTEMPTS` end without a word or with an error of the same launch;
the next one finds the unit set aside. Engines try again what fails, some of them forever, others until the whole job
fails.
"""

import json
from typing import NamedTuple

from lit_precompute.schemas.storage import WORK_FOLDER, Folder

MAX_ATTEMPTS = 3
_FOLDER = f"{WORK_FOLDER}/attempts"
_UNKNOWN = "the process ended without a word, as it does when it runs out of memory"


class Attempt(NamedTuple):
    """An attempt at a unit that has begun: which one it is, from 1."""

    unit: int
    number: int


class SetAside(NamedTuple):
    """A unit that is not attempted any more, and why."""

    unit: int
    why: str


class Attempts:
    """The attempts at the units of one job."""

    def __init__(self, folder: Folder, launch: str):
        """Takes the output and the name of the launch."""
        self._folder, self._launch = folder, launch

    def begin(self, unit: int) -> Attempt | SetAside:
        """Records an attempt, unless too many have failed."""
        why = _UNKNOWN
        for number in range(1, MAX_ATTEMPTS + 1):
            attempt = Attempt(unit, number)
            record = json.dumps({"launch": self._launch}).encode()
            if self._folder.create(_name(attempt), record):
                return attempt
            found = self._read(attempt)
            if "error" in found and found["launch"] != self._launch:
                self._folder.write(_name(attempt), record)  # the error of an earlier launch may have been mended
                return attempt
            why = found.get("error", why)
        return SetAside(unit, why)

    def fail(self, attempt: Attempt, why: str) -> None:
        """Records that an attempt has ended with an error."""
        record = {"launch": self._launch, "error": why}
        self._folder.write(_name(attempt), json.dumps(record).encode())

    def forget(self, attempt: Attempt) -> None:
        """Takes back an attempt that was ended on request."""
        self._folder.remove(_name(attempt))

    def forget_unit(self, unit: int) -> None:
        """Takes back all attempts at a unit, so that the next launch attempts it again."""
        self._folder.remove(*(_name(Attempt(unit, number)) for number in range(1, MAX_ATTEMPTS + 1)))

    def find(self) -> dict[int, tuple[int, str]]:
        """Returns for each unit that was attempted how often, and what the last attempt has said."""
        found: dict[int, tuple[int, str]] = {}
        for name in sorted(self._folder.find(_FOLDER)):
            unit, _, number = name.partition("-")
            record = self._read(Attempt(int(unit), int(number)))
            found[int(unit)] = int(number), record.get("error", "")
        return found

    def _read(self, attempt: Attempt) -> dict[str, str]:
        try:
            return json.loads(self._folder.read(_name(attempt)))
        except FileNotFoundError:  # taken back a moment ago
            return {"launch": self._launch}


def _name(attempt: Attempt) -> str:
    return f"{_FOLDER}/{attempt.unit:05d}-{attempt.number}"
