"""Many files on their way into one folder, which is cheaper than one by one.

Promises: on a disk, no file has its name before its bytes are flushed; all have it once `with` has ended, and before
that those of every 256 MiB, so that a kill or a power failure takes no more than the files since then. In a store,
`settle` compares files with the store's listing.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import threading
from collections.abc import Iterator, Sequence, Set
from types import TracebackType
from typing import Any, Protocol

from lit_precompute.schemas.storage.asking import ask
from lit_precompute.schemas.storage.publishing import flush, start_flushing, unique_name
from lit_precompute.schemas.storage.retrying import Patience
from lit_precompute.schemas.storage.stores import store_of

_FLUSHED_AT_ONCE_BYTES, _FLUSHED_AT_ONCE = 256 << 20, 1000
# What is written back already costs a flush little but waiting.
_FLUSHERS = 8
_READ_AT_ONCE = 1 << 20


class Batch(Protocol):
    """Files on their way into a folder; see the module. Thread-safe."""

    @property
    def path(self) -> str:
        """Of the folder."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """See `Folder`."""
        ...

    def upload(self, local: pathlib.Path, name: str) -> None:
        """See `Folder`."""
        ...

    def scratch(self) -> pathlib.Path:
        """See `Folder`."""
        ...

    def settle(self, folder: str) -> Set[str]:
        """Returns the files of a folder in it that a store cut short or changed: they are to be written again."""
        ...

    def __enter__(self) -> Batch:
        """Returns the batch."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Gives what is finished its names."""
        ...


class LocalBatch:
    """See `Batch`."""

    def __init__(self, folder: pathlib.Path, scratch: pathlib.Path):
        """Takes the folder, and one on the same file system for temporary files."""
        self._folder, self._scratch = folder, scratch
        self.path = str(folder)
        self._lock = threading.Lock()
        self._waiting: list[tuple[pathlib.Path, pathlib.Path]] = []
        self._num_bytes = 0

    def __enter__(self) -> LocalBatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        # The first error tells more.
        with contextlib.suppress(OSError) if error is not None else contextlib.nullcontext():
            with self._lock:
                some = self._taken()
            _publish_all(self._folder, some)

    def write(self, name: str, data: bytes) -> None:
        temporary = self._scratch / unique_name("write")
        temporary.write_bytes(data)
        self.upload(temporary, name)

    def upload(self, local: pathlib.Path, name: str) -> None:
        num_bytes = start_flushing(local)
        with self._lock:
            self._waiting.append((local, self._folder / name))
            self._num_bytes += num_bytes
            if self._num_bytes < _FLUSHED_AT_ONCE_BYTES and len(self._waiting) < _FLUSHED_AT_ONCE:
                return
            some = self._taken()
        _publish_all(self._folder, some)

    def scratch(self) -> pathlib.Path:
        return self._scratch

    def settle(self, folder: str) -> Set[str]:
        del folder
        return set()

    def _taken(self) -> list[tuple[pathlib.Path, pathlib.Path]]:
        some, self._waiting, self._num_bytes = self._waiting, [], 0
        return some


class RemoteBatch:
    """See `Batch`."""

    def __init__(self, url: str, scratch: pathlib.Path, patience: Patience):
        """Takes the folder, a local one for temporary files, and how long to try."""
        self.path, self._scratch, self._patience = url, scratch, patience
        self._store = store_of(f"{url}/")
        self._lock = threading.Lock()
        self._sent: dict[str, tuple[int, str]] = {}

    def __enter__(self) -> RemoteBatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Looks at nothing: who goes on compares the sizes."""

    def write(self, name: str, data: bytes) -> None:
        ask(f"{self.path}/{name}", lambda files, path: self._store.send(files, path, data), self._patience)
        self._note(name, len(data), self._store.checksum([data]))

    def upload(self, local: pathlib.Path, name: str) -> None:
        ask(f"{self.path}/{name}", lambda files, path: self._store.send_file(files, path, local), self._patience)
        self._note(name, local.stat().st_size, self._store.checksum(_pieces(local)))
        local.unlink()

    def scratch(self) -> pathlib.Path:
        return self._scratch

    def settle(self, folder: str) -> Set[str]:
        with self._lock:
            sent, self._sent = self._sent, {}
        there = self._listed(folder) if sent else {}
        return {name for name, as_sent in sent.items() if not _is_as_sent(there.get(name), *as_sent)}

    def _note(self, name: str, num_bytes: int, checksum: str) -> None:
        with self._lock:
            self._sent[name] = num_bytes, checksum

    def _listed(self, folder: str) -> dict[str, tuple[int, str]]:
        """Returns the size and the checksum of each object in a folder."""

        def listed(files: Any, path: str) -> dict[str, tuple[int, str]]:
            prefix, found = f"{path}/", files.find(path, detail=True)
            return {
                f"{folder}/{name.removeprefix(prefix)}": (details["size"], self._store.listed_checksum(details))
                for name, details in found.items()
                if name.startswith(prefix)
            }

        return ask(f"{self.path}/{folder}", listed, self._patience)


def _is_as_sent(listed: tuple[int, str] | None, num_bytes: int, checksum: str) -> bool:
    """Returns whether the size is the one that was sent, and the checksum, where the listing has one."""
    return listed is not None and listed[0] == num_bytes and listed[1] in ("", checksum)


def _pieces(local: pathlib.Path) -> Iterator[bytes]:
    with local.open("rb") as file:
        while piece := file.read(_READ_AT_ONCE):
            yield piece


def _publish_all(root: pathlib.Path, files: Sequence[tuple[pathlib.Path, pathlib.Path]]) -> None:
    """Flushes temporary files to the disk, renames each to its final path below `root`, and flushes the folders."""
    if not files:
        return
    with concurrent.futures.ThreadPoolExecutor(_FLUSHERS) as threads:
        for _ in threads.map(flush, (temporary for temporary, _ in files)):
            pass
    folders = {path.parent for _, path in files}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for temporary, path in files:
        temporary.replace(path)
    for folder in {root, *folders}:
        flush(folder)
