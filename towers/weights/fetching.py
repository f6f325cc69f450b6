"""Copies one remote file to this machine, with fsspec: over https, or from a store that it knows.

Promises: a file appears under its name when it is whole and has the hash that it must have, or not at all; two
processes that fetch one file do not disturb each other. Not here: what to fetch, and where to (`finding`).

Why not fsspec's own cache: it writes a file under its last name from the first byte on, and two processes would write
into one; its names are hashes, so that nobody could put a file there by hand.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import fsspec
import fsspec.callbacks

from lit_precompute.towers.weights.errors import WeightsError

# (name of the file, bytes so far, bytes in all or 0 where unknown)
Progress = Callable[[str, int, int], None]
WEB = ("https://", "http://")
_TIMEOUT_S = 60.0


def open_store(place: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system that a place is in, and its path there.

    Raises:
      Exception: fsspec's or a package's that it needs, of any kind, as with all that is done with the file system.
    """
    if not place.startswith(WEB):
        return fsspec.core.url_to_fs(place)
    import aiohttp

    settings = {
        # By itself aiohttp ends every request after five minutes, takes no proxy from the environment, and is sent
        # compressed bytes, whose number is not that of the file's.
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT_S, sock_read=_TIMEOUT_S),
        "trust_env": True,
        "headers": {"User-Agent": "lit-precompute", "Accept-Encoding": "identity"},
    }
    return fsspec.core.url_to_fs(place, client_kwargs=settings)


def fetch(place: str, target: pathlib.Path, *, sha256: str = "", progress: Progress | None = None) -> None:
    """Copies the file at `place` to `target`.

    Args:
      place: `https://...`, or what fsspec knows.
      target: where it is to stand; folders are made.
      sha256: the first 8 or more hexadecimal digits that its hash must have; "" where nobody knows.
      progress: told after every piece.

    Raises:
      WeightsError: the file has another hash.
      Exception: what `open_store` says; an OSError where the file ends early.
    """

    def tell(size: int | None, value: int, **_: Any) -> None:
        if progress is not None and value:
            progress(target.name, value, size or 0)

    store, path = open_store(place)
    told = fsspec.callbacks.Callback(hooks={"tell": tell})
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        store.get_file(path, str(temporary), callback=told)  # pyright: ignore[reportArgumentType] -- its default's type
        with temporary.open("rb+") as file:
            num_bytes = os.fstat(file.fileno()).st_size
            if told.size and num_bytes != told.size:
                raise OSError(f"the connection ended after {num_bytes} of {told.size} bytes")
            os.fsync(file.fileno())
            if sha256:
                check_sha256(hashlib.file_digest(file, "sha256").hexdigest(), sha256, place)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_sha256(found: str, expected: str, where: str) -> None:
    """Compares a file's hash with the digits that are known of it.

    Raises:
      WeightsError: it begins with others.
    """
    if not found.startswith(expected.lower()):
        raise WeightsError(
            f"{where}: not the published file: its SHA-256 must begin with {expected}, got {found}; remove it and "
            "fetch it again, or, if you mean this file, give it as --weights FILE"
        )


def cannot_fetch(place: str, url: str, by_hand: pathlib.Path, error: Exception) -> WeightsError:
    """Returns the error that says which file to get, from where, and the two places to put it."""
    return WeightsError(
        f"{place}: is not on this machine and could not be fetched ({_in_words(error)}). Get {url} and put it at "
        f"{by_hand}, or anywhere and give it as --weights FILE"
    )


def _in_words(error: BaseException) -> str:
    """Returns why a library could not have a file: huggingface_hub, aiohttp, or what fsspec brought in."""
    if type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__ is not None:
        return _in_words(error.__cause__)  # huggingface_hub's advice; its cause says what happened
    response = getattr(error, "response", error)
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    if isinstance(status, int):
        words = getattr(response, "reason_phrase", "") or getattr(response, "message", "")
        hint = "; set HF_TOKEN if the model asks for a licence" if status in (401, 403) else ""
        return f"the server says {status} {words}{hint}"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return str(error) or type(error).__name__
