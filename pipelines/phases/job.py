"""What a job in phases is.

A phase is cut into numbered pieces; each leaves one file below the job's work folder, last of all that it writes. So a
listing tells what is done, any worker may do any piece, twice or after a kill, and an interrupted job is resumed.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from lit_precompute.schemas.storage import Folder


class Phase(NamedTuple):
    """A phase; `sizes` of its pieces are in rows or pairs, for progress."""

    name: str
    sizes: Sequence[int]

    def file_name(self, piece: int) -> str:
        """Returns the name, below the work folder, of the file that a finished piece leaves."""
        return f"{self.name}/{piece:05d}"


class Worker(Protocol):
    """What does pieces in one process; it may keep what several of them need."""

    def do(self, phase: str, piece: int, tell: Callable[[int], None]) -> None:
        """Does a piece; `tell` is called with the sizes of parts that are done."""
        ...

    def close(self) -> None:
        """Closes files."""
        ...


class PhasedJob(Protocol):
    """A job; picklable, and small: everything else is read by the workers."""

    @property
    def work(self) -> Folder:
        """Where pieces leave their files."""
        ...

    @property
    def phases(self) -> Sequence[Phase]:
        """The phases, in order."""
        ...

    def claim(self) -> None:
        """Makes the work folder belong to this job.

        Raises:
          ClaimError: it belongs to another job.
        """
        ...

    def worker(self) -> Worker:
        """Returns what does pieces in this process."""
        ...


class PhasedJobError(RuntimeError):
    """A worker of an engine failed; what is finished is kept."""


class PhaseProgress(NamedTuple):
    """How far a phase is: what is done of its size, what earlier launches have done, and all of it."""

    phase: str
    done: int
    done_before: int
    size: int


Report = Callable[[PhaseProgress], None]


def finished_pieces(work: Folder, phase: Phase) -> set[int]:
    """Returns the pieces that are done, from one listing."""
    found = {int(name) for name in work.find(phase.name) if name.isdecimal()}
    return found & set(range(len(phase.sizes)))
