"""The output of a derivation: what it belongs to, and what is left in it."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from lit_precompute.precompute.deriving.another import another_in_words
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.claims import Claim, ClaimError, refuse_unwritable
from lit_precompute.schemas.dataset_files import remove_unfinished
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, is_url, lock_file, open_folder

# Of the manifest's `job`: what the dataset was derived from.
DERIVE = "derive"
_LOCK = f"{WORK_FOLDER}/lock"


class Output:
    """A folder that a derived dataset is written to."""

    def __init__(self, path: str):
        """Takes the path or URL; creates nothing yet."""
        self.folder = open_folder(path)
        self._claim = Claim(
            folder=self.folder,
            note=f"{WORK_FOLDER}/derive.json",
            kind="derivation",
            own_prefix=WORK_FOLDER,
            advice_foreign="give an empty --output",
            advice_another="choose another --output",
            advice_damaged="choose another --output",
        )

    def finished(self, description: Mapping[str, Any]) -> Manifest | None:
        """Returns the manifest if this derivation is finished, and removes what a kill may have left.

        Raises:
          ClaimError: another dataset is there, and is finished.
        """
        if not self.folder.exists(MANIFEST_NAME):
            return None
        manifest = Manifest.read(self.folder)
        if DERIVE not in manifest.job:
            raise DatasetError(
                f"{self.folder.path}: contains a finished dataset, and datasets never change; choose another --output"
            )
        if words := another_in_words(manifest.job[DERIVE], description):
            raise ClaimError(
                f"{self.folder.path}: was derived in another way: {'; '.join(words)}. Datasets never change: choose "
                "another --output"
            )
        self.release()
        return manifest

    @contextlib.contextmanager
    def claimed(self, description: Mapping[str, Any]) -> Iterator[None]:
        """Claims the folder for a derivation, and locks it if it is on this machine.

        A derivation that is refused leaves nothing behind.

        Raises:
          ClaimError: it belongs to something else, or cannot be written to.
          DatasetError: another process is deriving it.
        """
        refuse_unwritable(self.folder, "choose another --output")
        self._claim.refuse_foreign_files()
        is_new = not self._claim.is_made()
        with self._locked():
            self._claim.create(description)
            if words := another_in_words(self._claim.read(), description):
                raise ClaimError(
                    f"{self.folder.path}: has another derivation, which is unfinished: {'; '.join(words)}. Run that "
                    "command again to finish it, or choose another --output"
                )
            self.folder.remove_folder(f"{WORK_FOLDER}/temporary")  # a killed process's
            try:
                yield
            except ValueError:
                if is_new:
                    self.release()
                    _remove_if_empty(self.folder.path)
                raise

    def release(self) -> None:
        """Removes everything that is no part of the dataset, and what killed processes have left."""
        self.folder.remove_folder(WORK_FOLDER)
        remove_unfinished(self.folder)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if is_url(self.folder.path):
            yield
            return
        path = pathlib.Path(self.folder.path, _LOCK)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = lock_file(path)
        except BlockingIOError as error:
            raise DatasetError(
                f"{self.folder.path}: another process is deriving this dataset; wait for it, or choose another --output"
            ) from error
        with lock:
            yield


def _remove_if_empty(path: str) -> None:
    if not is_url(path):
        with contextlib.suppress(OSError):  # there are files in it
            pathlib.Path(path).rmdir()
