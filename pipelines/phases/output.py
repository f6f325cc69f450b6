"""The dataset that a job in phases writes: whose folder it is, and what is left in it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from lit_precompute.schemas import Manifest
from lit_precompute.schemas.claims import Claim, ClaimError, refuse_unwritable
from lit_precompute.schemas.dataset_files import remove_unfinished
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, Folder, open_folder

_ADVICE = "choose another --output"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobOutput:
    """The folder of a dataset that a job writes.

    Attributes:
      path: a directory or URL.
      note: the name of the file below `_work` that says what the folder belongs to.
      kind: what it belongs to, for errors.
      key: of the manifest's `job`, where the finished dataset says it.
      flags: see `Claim`.
    """

    path: str
    note: str
    kind: str
    key: str
    flags: Mapping[str, str]

    @property
    def folder(self) -> Folder:
        """The dataset."""
        return open_folder(self.path)

    @property
    def work(self) -> Folder:
        """Where pieces leave their files."""
        return open_folder(f"{self.path}/{WORK_FOLDER}")

    def published(self, described: Mapping[str, Any]) -> Manifest | None:
        """Returns the manifest that a job which is so described has written; None if there is none.

        Raises:
          ClaimError: another dataset is there.
        """
        if not self.folder.exists(MANIFEST_NAME):
            return None
        manifest = Manifest.read(self.folder)
        if self.key not in manifest.job:
            raise ClaimError(f"{self.path}: contains a finished dataset, and datasets never change; {_ADVICE}")
        self._claim().refuse_another(dict(manifest.job[self.key]), described)
        return manifest

    def claim(self, described: Mapping[str, Any]) -> None:
        """Makes the folder belong to the job that is so described.

        Raises:
          ClaimError: it belongs to another job, contains other files, or cannot be written to.
        """
        refuse_unwritable(self.folder, _ADVICE)
        claim = self._claim()
        claim.refuse_foreign_files()
        claim.create(described)
        claim.refuse_another(claim.read(), described)

    def sweep(self) -> None:
        """Removes what only an unfinished job needs."""
        self.folder.remove_folder(WORK_FOLDER)
        remove_unfinished(self.folder)

    def _claim(self) -> Claim:
        return Claim(
            folder=self.folder,
            note=f"{WORK_FOLDER}/{self.note}",
            kind=self.kind,
            own_prefix=WORK_FOLDER,
            advice_foreign=_ADVICE,
            advice_another=_ADVICE.capitalize(),
            advice_damaged=f"remove the folder, or {_ADVICE}",
            flags=self.flags,
        )
