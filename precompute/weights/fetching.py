"""Copies one remote file to this machine: over https with Python's own library, all else through fsspec.

Promises: a file appears under its name when it is whole and has the hash that it must have, or not at all; two
processes that fetch one file do not disturb each other. Not here: what to fetch, and where to (`finding`).

Why not fsspec for https: it needs aiohttp, which is no dependency of ours.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import pathlib
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fsspec

from precompute.weights.errors import WeightsError

# (name of the file, bytes so far, bytes in all or 0 where unknown)
Progress = Callable[[str, int, int], None]
_TIMEOUT_S = 60.0
_CHUNK_BYTES = 1 << 20
_NOT_THERE = (404, 410)


class FetchError(WeightsError):
    """A file that could not be had from where it is; the message says why, in a few words."""


class NotThereError(FetchError):
    """Its place answers, and has no such file."""


def fetch(
    place: str,
    target: pathlib.Path,
    *,
    sha256: str = "",
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Copies the file at `place` to `target`.

    Args:
      place: `https://...`, or what fsspec knows.
      target: where it is to stand; folders are made.
      sha256: the first 8 or more hexadecimal digits that its hash must have; "" where nobody knows.
      headers: for `https://`; a redirect to another place does not carry them.
      progress: told after every piece.

    Raises:
      NotThereError: there is no such file.
      FetchError: no network, no permission, a missing package, an end before the end, no space.
      WeightsError: the file has another hash.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            for chunk, num_bytes in _chunks(place, headers or {}):
                file.write(chunk)
                digest.update(chunk)
                if progress is not None:
                    progress(target.name, file.tell(), num_bytes)
            file.flush()
            os.fsync(file.fileno())
        check_sha256(digest.hexdigest(), sha256, place)
        temporary.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise in_words(error) from error
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


def _chunks(place: str, headers: Mapping[str, str]) -> Iterator[tuple[bytes, int]]:
    """Yields the file's bytes, each piece with the length of the whole (0 where it is unknown)."""
    if not place.startswith(("https://", "http://")):
        yield from _fsspec_chunks(place)
        return
    request = urllib.request.Request(place, headers={"User-Agent": "lit-precompute"})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        length = response.headers.get("Content-Length") or ""
        yield from _whole(response, int(length) if length.isdecimal() else 0)


def _fsspec_chunks(place: str) -> Iterator[tuple[bytes, int]]:
    try:
        with fsspec.open(place, "rb") as file:
            yield from _whole(file, int(getattr(file, "size", 0) or 0))
    except OSError:
        raise
    except Exception as error:
        raise in_words(error) from error


def _whole(file: Any, num_bytes: int) -> Iterator[tuple[bytes, int]]:
    position = 0
    while chunk := file.read(_CHUNK_BYTES):
        position += len(chunk)
        yield chunk, num_bytes
    if num_bytes and position != num_bytes:
        raise FetchError(f"the connection ended after {position} of {num_bytes} bytes")


def in_words(error: Exception) -> FetchError:
    """Returns a library's error as one of ours."""
    if isinstance(error, FetchError):
        return error
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        made = NotThereError if error.code in _NOT_THERE else FetchError
        hint = "; set HF_TOKEN if the model asks for a licence" if error.code in (401, 403) else ""
        return made(f"the server says {error.code} {error.reason}{hint}")
    if isinstance(error, urllib.error.URLError):
        return FetchError(f"no connection: {error.reason}")
    if isinstance(error, FileNotFoundError):
        return NotThereError("there is no such file")
    return FetchError(str(error) or type(error).__name__)
