"""Whole files from stores, by plain HTTP on connections that are kept: what many threads receive at once.

Promises: pieces come in order, each once; whatever goes wrong here is left to `read_pieces`, which goes on from the
last byte that came, patiently, and finds the words. At the proxy of an environment all is left to it.

A driver receives in a single thread, and its own work for a byte takes as long as SHA-256; sockets give Python's lock
back. Drivers still tell where an object is, and sign the request.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from types import TracebackType
from typing import Any

from lit_precompute.schemas.storage.drivers import GCS_SCHEMES, S3_SCHEMES, connect, may_have_proxy
from lit_precompute.schemas.storage.remote_bytes import read_pieces
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience

# Each piece costs a few changes of threads.
_PIECE_BYTES = 1 << 20
# As many bytes may take `Patience.max_part_s`.
_PART_BYTES = 16 << 20
# In a row, after which no more are tried: a store that answers only to its driver.
_MAX_FAILURES = 8

Take = Callable[[bytes | memoryview], object]


class Receiver:
    """Receives files; has the connections to their stores until `with` ends. Thread-safe."""

    def __init__(self, patience: Patience = DEFAULT_PATIENCE):
        """Connects to nothing yet."""
        self._patience = patience
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._num_failed = 0
        self._of_thread = threading.local()

    def __enter__(self) -> Receiver:
        """Returns the receiver."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Closes the connections."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    def receive(self, url: str, num_bytes: int, take: Take) -> int:
        """Gives `take` the first bytes of a file, piece by piece; returns how many came: fewer where it ends.

        A piece is valid during the call of `take` alone.

        Raises:
          FileNotFoundError: there is no such file.
          OSError: the store cannot be read (see `asking`).
        """
        message = _Message(take, num_bytes)
        if self._is_direct(url):
            with contextlib.suppress(_NotReceivedError):
                self._receive_directly(url, message)
        if not message.is_complete:
            for piece in read_pieces(url, message.num_taken, num_bytes, patience=self._patience):
                message.add(piece)
        return message.num_taken

    def _is_direct(self, url: str) -> bool:
        is_store = url.partition("://")[0] in GCS_SCHEMES + S3_SCHEMES and "::" not in url
        return is_store and self._num_failed < _MAX_FAILURES and not may_have_proxy()

    def _receive_directly(self, url: str, message: _Message) -> None:
        try:
            place, path, headers = self._request(url)
            connection = self._connection(place)
        except Exception as error:  # each driver raises its own
            self._num_failed += 1
            raise _NotReceivedError from error
        try:
            response = self._ask(connection, path, headers | {"Range": f"bytes=0-{message.num_bytes - 1}"})
            is_reusable = self._pass_on(response, message)
        except BaseException:
            connection.close()
            self._num_failed += 1
            raise
        self._num_failed = 0
        if not is_reusable:
            connection.close()
            return
        with self._lock:
            self._idle.setdefault(place, []).append(connection)

    def _request(self, url: str) -> tuple[tuple[str, str], str, dict[str, str]]:
        """Returns the scheme and host to ask, for which path, with which headers."""
        files, path = connect(url, self._patience.timeout_s)
        address, headers = _of_s3(files, path) if url.partition("://")[0] in S3_SCHEMES else _of_gcs(files, path)
        parts = urllib.parse.urlsplit(address)
        return (parts.scheme, parts.netloc), f"{parts.path}?{parts.query}", headers

    def _connection(self, place: tuple[str, str]) -> http.client.HTTPConnection:
        with self._lock:
            if idle := self._idle.get(place):
                return idle.pop()
        scheme, host = place
        if scheme == "https":
            return http.client.HTTPSConnection(host, timeout=self._patience.timeout_s, context=_tls())
        return http.client.HTTPConnection(host, timeout=self._patience.timeout_s)

    def _buffer(self) -> memoryview:
        if not hasattr(self._of_thread, "buffer"):
            self._of_thread.buffer = memoryview(bytearray(_PIECE_BYTES))
        return self._of_thread.buffer

    def _ask(self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> Any:
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _NotReceivedError from error
        if response.status not in (http.client.OK, http.client.PARTIAL_CONTENT):
            raise _NotReceivedError(response.status)
        return response

    def _pass_on(self, response: http.client.HTTPResponse, message: _Message) -> bool:
        """Passes on what comes; returns whether the connection is as it was before."""
        expected = response.length
        until_s = self._patience.clock() + self._patience.max_part_s
        part_ends = _PART_BYTES
        buffer = self._buffer()
        while not message.is_complete:
            try:
                num_bytes = response.readinto(buffer)
            except (OSError, http.client.HTTPException) as error:
                raise _NotReceivedError from error
            if not num_bytes:
                break
            message.add(buffer[:num_bytes])
            if message.num_taken >= part_ends:
                until_s, part_ends = self._patience.clock() + self._patience.max_part_s, part_ends + _PART_BYTES
            if self._patience.clock() > until_s:
                raise _NotReceivedError
        is_whole = expected is not None and not response.length
        if not message.is_complete and not is_whole:
            raise _NotReceivedError
        message.end()
        response.close()
        return is_whole and not response.will_close


class _Message:
    """What has come of a file."""

    def __init__(self, take: Take, num_bytes: int):
        self._take, self.num_bytes, self.num_taken = take, num_bytes, 0
        self._has_ended = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is expected."""
        return self._has_ended or self.num_taken == self.num_bytes

    def add(self, piece: bytes | memoryview) -> None:
        """Passes a piece on, but nothing beyond what was asked for."""
        left = self.num_bytes - self.num_taken
        self._take(piece[:left])
        self.num_taken += min(len(piece), left)

    def end(self) -> None:
        """Notes that the file ends here."""
        self._has_ended = True


class _NotReceivedError(Exception):
    """The rest is to be read in the patient way."""


def _of_gcs(files: Any, path: str) -> tuple[str, dict[str, str]]:
    """Returns where gcsfs would read a file, and with which headers."""
    more = urllib.parse.urlencode(files._get_params({}))
    return files.url(path) + (f"&{more}" if more else ""), files._get_headers(None)


def _of_s3(files: Any, path: str) -> tuple[str, dict[str, str]]:
    """Returns the signed address of a file for s3fs's user."""
    _sign_in_version_4(files)
    return files.url(path), {}


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@functools.lru_cache(maxsize=16)
def _sign_in_version_4(files: Any) -> None:
    """Makes s3fs sign addresses as it signs requests; by default they have version 2, which some buckets refuse."""

    def choose(signature_version: str, **_: Any) -> str | None:
        return signature_version if signature_version.endswith("v4-query") else None

    files.connect().meta.events.register("choose-signer.s3.GetObject", choose)
