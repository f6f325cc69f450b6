"""The place that a dataset is copied to: it belongs to the copy of one dataset until that is complete.

    _work/job.json    which dataset is copied, and which part of it; created before the first file
    _work/temporary   files on their way, if the place is on this machine
    manifest.json     written last; then `_work` is removed

The note has the name of an embedding job's, so that of a job and a copy into one place the second is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from lit_precompute.schemas.claims import Claim, ClaimError, refuse_unwritable
from lit_precompute.schemas.dataset_files import remove_unfinished
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, Folder

NOTE_NAME = f"{WORK_FOLDER}/job.json"
# The key of a copy's note; an embedding job's note has none.
COPY = "copy"
_FLAGS = {
    "copy.digest": "the digest of the dataset",
    "copy.tables": "--tables",
    "copy.shards": "--shards",
    "copy.selection": "--selection",
    "copy.rows": "--rows",
}
CHOOSE_ANOTHER = "choose another folder"


class Destination:
    """A folder, on this machine or in a store, for the copy of a dataset."""

    def __init__(self, folder: Folder):
        """Takes the folder, which need not exist."""
        self.folder = folder
        self._claim = Claim(
            folder=folder,
            note=NOTE_NAME,
            kind="copy",
            own_prefix=WORK_FOLDER,
            advice_foreign=CHOOSE_ANOTHER,
            advice_another=f"Copy the same there to finish it, or {CHOOSE_ANOTHER}",
            advice_damaged=CHOOSE_ANOTHER,
            flags=_FLAGS,
        )

    def is_published(self) -> bool:
        """Returns whether a complete dataset is there."""
        return self.folder.exists(MANIFEST_NAME)

    def claim(self, copied: Mapping[str, Any]) -> None:
        """Makes the folder belong to the copy that `copied` describes: which dataset, and which part of it.

        Raises:
          ClaimError: it belongs to another copy or a job, has other files, or cannot be written to.
        """
        refuse_unwritable(self.folder, CHOOSE_ANOTHER)
        self._claim.refuse_foreign_files()
        asked = {COPY: dict(copied)}
        self._claim.create(asked)
        found = self._claim.read()
        if COPY not in found:
            raise ClaimError(f"{self.folder.path}: belongs to an embedding job; {CHOOSE_ANOTHER}")
        self._claim.refuse_another(found, asked)

    def sweep(self, tables: Iterable[str]) -> None:
        """Removes what only an unfinished copy needs, and what killed ones have left; nothing of a job's."""
        names = set(self.folder.find(WORK_FOLDER))
        if "job.json" in names and not self._is_of_a_copy():
            return
        if all(name == "job.json" or name.startswith("temporary/") for name in names):
            self.folder.remove_folder(WORK_FOLDER)
        remove_unfinished(self.folder, tables)

    def _is_of_a_copy(self) -> bool:
        try:
            return COPY in self._claim.read()
        except FileNotFoundError:  # another process has copied the same, and removes it now
            return True
