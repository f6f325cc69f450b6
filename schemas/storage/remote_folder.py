"""A folder in a store; see `Folder`.

Promises: what is written is compared with what the store says it has, and written again if it was cut short; `create`
is true for exactly one caller, also where a store's answer was lost on the way and the request was repeated; a store
that takes a second object under a name for its first is refused.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import os
import pathlib
import tempfile
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from lit_precompute.schemas.storage.answers import StorageError
from lit_precompute.schemas.storage.asking import ask, check_bucket, fetch
from lit_precompute.schemas.storage.batches import RemoteBatch
from lit_precompute.schemas.storage.drivers import S3_SCHEMES, WEB_SCHEMES
from lit_precompute.schemas.storage.publishing import is_unfinished
from lit_precompute.schemas.storage.reading import FoundFile, describe
from lit_precompute.schemas.storage.retrying import Patience
from lit_precompute.schemas.storage.store import Store
from lit_precompute.schemas.storage.stores import store_of

_READ_AT_ONCE, _READERS = 64, 32
# Buckets that were seen to refuse a second object under a name, by this process.
_seen_to_create: set[str] = set()


class RemoteFolder:
    """See `Folder`."""

    def __init__(self, url: str, patience: Patience):
        self.path = url.rstrip("/")
        self.can_list = not url.startswith(WEB_SCHEMES)
        self._patience = patience

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def join(self, name: str) -> str:
        return f"{self.path}/{name}"

    def exists(self, name: str) -> bool:
        try:
            return self._ask(name, lambda files, path: files.info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def read(self, name: str) -> bytes:
        return self._ask(name, fetch)

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        def attempt(files: Any, path: str) -> dict[str, Any]:
            if not names or not files.async_impl:
                return {}
            more = (
                {"max_concurrency": 1} if files.protocol == S3_SCHEMES else {}
            )  # otherwise it asks for the size first
            paths = {f"{path}/{name}": name for name in names}
            found = files.cat(list(paths), on_error="return", batch_size=_READ_AT_ONCE, **more)
            return {paths[each]: data for each, data in found.items() if isinstance(data, bytes) and each in paths}

        def one(name: str) -> bytes | None:
            try:
                return found[name] if name in found else self.read(name)
            except FileNotFoundError:
                return None

        found = self._ask("", attempt)
        # Alone is read, patiently, what was not there or met an error; and all that a driver cannot request at once.
        with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
            return list(readers.map(one, names))

    def write(self, name: str, data: bytes) -> None:
        def attempt(files: Any, path: str) -> None:
            store.put(files, path, data, "")
            _check_size(store, files, path, len(data))

        store = store_of(self.join(name))
        self._ask(name, attempt)

    def create(self, name: str, data: bytes) -> bool:
        def attempt(files: Any, path: str) -> bool:
            try:
                store.create(files, path, data, token)
            except FileExistsError:
                if not store.is_of(files, path, token):
                    return False
            if store.size(files, path) != len(data):
                store.put(files, path, data, token)  # ours, but cut short on the way
                _check_size(store, files, path, len(data))
            self._check_creating(store, files, path, data, token)
            return True

        token = uuid.uuid4().hex
        store = store_of(self.join(name))
        return self._ask(name, attempt)

    def upload(self, local: pathlib.Path, name: str) -> None:
        def attempt(files: Any, path: str) -> None:
            store.upload(files, path, local)
            _check_size(store, files, path, num_bytes)

        store, num_bytes = store_of(self.join(name)), local.stat().st_size
        self._ask(name, attempt)
        local.unlink()

    def batch(self) -> RemoteBatch:
        return RemoteBatch(self.path, self.scratch(), self._patience)

    def find(self, name: str = "") -> dict[str, FoundFile]:
        def attempt(files: Any, path: str) -> dict[str, FoundFile]:
            found = files.find(path, detail=True)
            if not found:
                check_bucket(self.path, files, path)
            prefix = path.rstrip("/") + "/"
            return {
                each.removeprefix(prefix): describe(details)
                for each, details in found.items()
                if each.startswith(prefix) and not each.endswith("/") and not is_unfinished(each)
            }

        try:
            return self._ask(name, attempt)
        except FileNotFoundError:
            return {}

    def remove(self, *names: str) -> None:
        def attempt(files: Any, path: str) -> None:
            store.remove(files, [f"{path}/{name}" for name in names])

        store = store_of(self.path)
        if names:
            self._ask("", attempt)

    def remove_folder(self, name: str) -> None:
        self.remove(*(f"{name}/{each}" if name else each for each in self.find(name)))

    def remove_unfinished(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # no such folder
            self._ask("", store_of(self.path).remove_unfinished)

    def scratch(self) -> pathlib.Path:
        folder = pathlib.Path(tempfile.gettempdir()) / f"lit-precompute-{os.getuid()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _ask(self, name: str, question: Callable[[Any, str], Any]) -> Any:
        return ask(self.join(name) if name else self.path, question, self._patience)

    def _check_creating(self, store: Store, files: Any, path: str, data: bytes, token: str) -> None:
        """Raises StorageError if the store, against what it is asked for, replaces objects. Asked once a bucket."""
        bucket = f"{files.protocol} {path.partition('/')[0]}"
        if bucket in _seen_to_create:
            return
        try:
            store.create(files, path, data, token)
        except FileExistsError:
            _seen_to_create.add(bucket)
            return
        words = (
            "the store replaces objects that are to be created only if absent, which jobs rest on; use another store"
        )
        raise StorageError(errno.ENOTSUP, words, self.path)


def _check_size(store: Store, files: Any, path: str, num_bytes: int) -> None:
    """Raises where the store has less than was sent; the upload is then repeated."""
    found = store.size(files, path)
    if found != num_bytes:
        raise OSError(f"the store has {found} bytes of {num_bytes}")
