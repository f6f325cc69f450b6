"""A dataset's files as files of this machine: where they are, from the cache, or as copies for one reader alone.

Promises: a file that was fetched has the size and the SHA-256 that the manifest states. Nothing is fetched before it is
needed.
"""

import functools
import pathlib
import tempfile
import threading
from collections.abc import Callable
from typing import Protocol

from lit_precompute.schemas.dataset_files import check_described, check_file, missing_file
from lit_precompute.schemas.machine_cache import folder_in_cache
from lit_precompute.schemas.manifest.parts import ShardFile
from lit_precompute.schemas.storage import Content, DatasetError, FileCache, Folder, copy_file, file_cache, is_url


class Held(Protocol):
    """A file of this machine, which stays at its path until it is released, and readable until it is closed."""

    path: pathlib.Path

    @property
    def is_removed(self) -> bool:
        """Whether it was removed after it was released, to make room for others."""
        ...

    def release(self) -> None:
        """Allows to remove it."""
        ...

    def touch(self) -> None:
        """Notes that it is used."""
        ...

    def close(self) -> None:
        """Gives it up."""
        ...


class FilesHere(Protocol):
    """The files of one folder. Thread-safe."""

    def hold(self, file: ShardFile) -> Held:
        """Returns a file; fetches it if it is in a store and not yet here.

        Raises:
          DatasetError: there is no such file, or it is in a store and not the one that the manifest describes.
        """
        ...

    def fetch(self, file: ShardFile, is_stopped: Callable[[], bool]) -> None:
        """Fetches a file for a later `hold`.

        Raises:
          FetchingStopped: `is_stopped` returned True.
        """
        ...

    def discard_damaged(self, file: ShardFile) -> bool:
        """Removes a copy that was damaged here, so that it is fetched again; returns whether there was one."""
        ...

    def forget(self, file: ShardFile) -> None:
        """Removes the copy of a file that is this reader's alone."""
        ...

    def close(self) -> None:
        """Removes all such copies."""
        ...


def cache_bound() -> int:
    """Returns how many bytes of datasets' files this machine's cache may hold."""
    return machine_cache().bound


def machine_cache() -> FileCache:
    """Returns this machine's cache, as the environment is now."""
    return file_cache(folder_in_cache("datasets"))


def files_here(folder: Folder, *, cached: bool) -> FilesHere:
    """Returns the files of a folder; those of a store from the cache, or fetched for this reader alone."""
    if not is_url(folder.path):
        return _LocalFiles(folder)
    return _CachedFiles(folder) if cached else _Copies(folder)


class _LocalFile:
    """See `Held`: nothing removes it."""

    is_removed = False

    def __init__(self, path: pathlib.Path):
        self.path = path

    def release(self) -> None:
        """See `Held`."""

    def touch(self) -> None:
        """See `Held`."""

    def close(self) -> None:
        """See `Held`."""


class _LocalFiles:
    """See `FilesHere`: they are where they are."""

    def __init__(self, folder: Folder):
        self._folder = folder

    def hold(self, file: ShardFile) -> Held:
        path = pathlib.Path(self._folder.join(file.name))
        if not path.is_file():
            raise DatasetError(missing_file(str(path)))
        return _LocalFile(path)

    def fetch(self, file: ShardFile, is_stopped: Callable[[], bool]) -> None:
        pass

    def discard_damaged(self, file: ShardFile) -> bool:
        return False

    def forget(self, file: ShardFile) -> None:
        pass

    def close(self) -> None:
        pass


class _CachedFiles(_LocalFiles):
    """See `FilesHere`: from this machine's cache."""

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self._cache = machine_cache()

    def hold(self, file: ShardFile) -> Held:
        return self._hold(file, lambda: False)

    def fetch(self, file: ShardFile, is_stopped: Callable[[], bool]) -> None:
        if not self._cache.has(file.info.sha256):
            self._hold(file, is_stopped).close()

    def discard_damaged(self, file: ShardFile) -> bool:
        return self._cache.discard_damaged(file.info.sha256)

    def _hold(self, file: ShardFile, is_stopped: Callable[[], bool]) -> Held:
        where = self._folder.join(file.name)
        check = functools.partial(check_described, where, described=file.info)
        try:
            return self._cache.hold(where, Content(file.info.bytes, file.info.sha256, check), is_stopped)
        except FileNotFoundError as error:
            if error.filename != where:  # one of the cache's
                raise
            raise DatasetError(missing_file(where)) from error


class _Copies(_LocalFiles):
    """See `FilesHere`: each copy is made anew, so that it shows what is in the store now."""

    def __init__(self, folder: Folder):
        super().__init__(folder)
        self._lock = threading.Lock()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def hold(self, file: ShardFile) -> Held:
        where = self._folder.join(file.name)
        with self._lock:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="dataset-", dir=self._folder.scratch())
            path = pathlib.Path(self._scratch.name, file.name)
            if not path.exists():
                try:
                    copy_file(where, path, check=lambda copy: check_file(where, copy, file.info))
                except FileNotFoundError as error:
                    raise DatasetError(missing_file(where)) from error
            return _LocalFile(path)

    def forget(self, file: ShardFile) -> None:
        if self._scratch is not None:
            pathlib.Path(self._scratch.name, file.name).unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            if self._scratch is not None:
                self._scratch.cleanup()
                self._scratch = None
