"""The finished units of an import, noted in the output's `_work/import/` until the manifest is published.

Promises: a unit's note is written after its shard, whole; an output that belongs to something else is refused before
anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lit_precompute.schemas import Manifest, Probe, ShardInfo
from lit_precompute.schemas.claims import Claim, ClaimError
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, Folder
from lit_precompute.schemas.tables import StrictModel

_NOTES = f"{WORK_FOLDER}/import"
_AT_ONCE = 1024


def finished_before(folder: Folder) -> Manifest | None:
    """Returns the manifest of a dataset that is there and has no notes of an import left."""
    if folder.exists(MANIFEST_NAME) and not folder.exists(f"{_NOTES}.json"):
        return Manifest.read(folder)
    return None


class FinishedUnit(StrictModel):
    """What is kept of a finished shard until all are."""

    info: ShardInfo
    probes: list[Probe]
    reasons: dict[str, int]
    least_norm: float | None
    most_norm: float | None


class FinishedUnits:
    """The notes of an import's finished units.

    Attributes:
      finished: the manifest, if it is published already and only the notes are left to remove.
    """

    def __init__(self, folder: Folder, finished: Manifest | None):
        """See `claim`."""
        self._folder, self.finished = folder, finished

    @classmethod
    def claim(cls, folder: Folder, description: Mapping[str, Any]) -> FinishedUnits:
        """Returns the notes of the import that a description is of, in its output.

        Raises:
          ClaimError: the output belongs to another import, or to something else.
        """
        claim = Claim(
            folder=folder,
            note=f"{_NOTES}.json",
            kind="import",
            own_prefix=WORK_FOLDER,
            advice_foreign="give an empty --output",
            advice_another="Give these values again to go on with it, or choose another --output",
            advice_damaged="remove the output, and import again",
        )
        is_published = folder.exists(MANIFEST_NAME)
        if not claim.is_made():
            if is_published:
                raise ClaimError(
                    f"{folder.path}: contains a finished dataset, and datasets never change; choose another --output"
                )
            claim.refuse_foreign_files()
            if folder.find(WORK_FOLDER):
                raise ClaimError(f"{folder.path}: belongs to an unfinished job; choose another --output")
            claim.create(description)
        claim.refuse_another(claim.read(), description)
        return cls(folder, Manifest.read(folder) if is_published else None)

    def read(self, num_units: int) -> dict[int, FinishedUnit]:
        """Returns the units that are finished, by number."""
        units: dict[int, FinishedUnit] = {}
        for first in range(0, num_units, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, num_units))
            for number, data in zip(numbers, self._folder.read_many([_note(each) for each in numbers]), strict=True):
                if data is not None:
                    units[number] = FinishedUnit.model_validate_json(data)
        return units

    def write(self, number: int, unit: FinishedUnit, hashes: bytes) -> None:
        """Notes that a unit is finished, and keeps the hashes of its keys."""
        self._folder.write(_hashes(number), hashes)
        self._folder.write(_note(number), unit.model_dump_json().encode())

    def hashes(self, num_units: int) -> Iterator[bytes]:
        """Yields the hashes of each unit's keys, 8 bytes a row."""
        for number in range(num_units):
            yield self._folder.read(_hashes(number))

    def remove(self) -> None:
        """Removes the notes: the claim last, so that a kill leaves an output that is known as this import's."""
        self._folder.remove_folder(_NOTES)
        self._folder.remove_folder(f"{WORK_FOLDER}/temporary")
        self._folder.remove_folder(WORK_FOLDER)


def _note(number: int) -> str:
    return f"{_NOTES}/{number:05d}.json"


def _hashes(number: int) -> str:
    return f"{_NOTES}/{number:05d}.keys"
