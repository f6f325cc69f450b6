"""Copies one remote weights file to this machine, and says in words why that failed.

Promises: a file appears under its name when it is whole and has the hash that it must have, or not at all.

Not here: what to fetch, and where to (`finding`); how files are copied (`schemas.storage`).
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from lit_precompute.schemas.storage import copy_file, file_sha256
from lit_precompute.towers.weights.errors import WeightsError

# (name of the file, bytes so far, bytes in all or 0 where unknown)
Progress = Callable[[str, int, int], None]


def fetch(place: str, target: pathlib.Path, *, sha256: str = "", progress: Progress | None = None) -> None:
    """Copies the file at `place` to `target`.

    Args:
      place: `https://...`, or another URL that fsspec knows.
      target: its path on this machine; folders are made.
      sha256: the first 8 or more hexadecimal digits of its hash; "" where unknown.
      progress: is called after every piece.

    Raises:
      WeightsError: the file has another hash.
      Exception: whatever the file system raises (`schemas.storage`); an OSError where the file ends early.
    """

    def check(path: pathlib.Path) -> None:
        if sha256:
            check_sha256(file_sha256(path), sha256, place)

    def report(num_bytes: int, all_bytes: int) -> None:
        if progress is not None:
            progress(target.name, num_bytes, all_bytes)

    copy_file(place, target, check=check, progress=report)


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
