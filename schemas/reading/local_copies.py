"""Local copies of a dataset's files in a store: each is fetched whole when it is first read, and checked.

Promises: a copy has the size and the SHA-256 that the manifest states; `close`, or the end of the object, removes all.
A dataset on this machine is read where it is.
"""

import pathlib
import tempfile
import threading

from lit_precompute.schemas.dataset_files import check_file, missing_file
from lit_precompute.schemas.manifest.parts import ShardFile
from lit_precompute.schemas.storage import DatasetError, Folder, copy_file, is_url


class LocalCopies:
    """The files of one folder as local paths. Thread-safe."""

    def __init__(self, folder: Folder):
        """Takes the folder; fetches nothing yet."""
        self._folder = folder
        self._is_local = not is_url(folder.path)
        self._lock = threading.Lock()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def path(self, file: ShardFile) -> pathlib.Path:
        """Returns the local path of a file; fetches it if it is in a store and not yet here.

        Raises:
          DatasetError: there is no such file in the store, or it is not the one that the manifest describes.
        """
        where = self._folder.join(file.name)
        if self._is_local:
            return pathlib.Path(where)
        with self._lock:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="dataset-", dir=self._folder.scratch())
            path = pathlib.Path(self._scratch.name, file.name)
            if not path.exists():
                try:
                    copy_file(where, path, check=lambda copy: check_file(where, copy, file.info))
                except FileNotFoundError as error:
                    raise DatasetError(missing_file(where)) from error
            return path

    def forget(self, file: ShardFile) -> None:
        """Removes the copy of a file."""
        if self._scratch is not None:
            pathlib.Path(self._scratch.name, file.name).unlink(missing_ok=True)

    def close(self) -> None:
        """Removes all copies; a later read fetches them again."""
        with self._lock:
            if self._scratch is not None:
                self._scratch.cleanup()
                self._scratch = None
