"""Copies one remote weights file to this machine, and says in words why that failed.

Promises: a file appears under its name when it is whole and has the hash that it must have, or not at all.

Not here: what to fetch, and where to (`finding`); how files are copied (`schemas.storage`).
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

from lit_precompute.schemas.storage import (
    DEFAULT_PATIENCE,
    Patience,
    copy_file,
    file_sha256,
    http_status,
    in_words,
)
from lit_precompute.towers.weights.errors import WeightsError

# (name of the file, bytes so far, bytes in all or 0 where unknown)
Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetcher:
    """Fetches files.

    Attributes:
      progress: is called after every piece.
      patience: how long to try where a server does not answer.
    """

    progress: Progress | None = None
    patience: Patience = DEFAULT_PATIENCE

    def fetch(self, place: str, target: pathlib.Path, *, sha256: str = "") -> None:
        """Copies the file at `place` to `target`.

        Args:
          place: `https://...`, or another URL that fsspec knows.
          target: its path on this machine; folders are made.
          sha256: the first 8 or more hexadecimal digits of its hash; "" where unknown.

        Raises:
          WeightsError: the file has another hash.
          OSError: it cannot be had; see `schemas.storage`.
        """

        def check(path: pathlib.Path) -> None:
            if sha256:
                check_sha256(file_sha256(path), sha256, place)

        def report(num_bytes: int, all_bytes: int) -> None:
            if self.progress is not None:
                self.progress(target.name, num_bytes, all_bytes)

        copy_file(place, target, check=check, progress=report, patience=self.patience)


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
    """Returns why the storage or huggingface_hub could not have a file."""
    if type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__ is not None:
        return _in_words(error.__cause__)  # huggingface_hub's advice; its cause says what happened
    hint = "; set HF_TOKEN if the model asks for a licence" if http_status(error) in (401, 403) else ""
    return in_words(error) + hint
