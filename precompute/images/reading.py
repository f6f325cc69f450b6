"""How an encoded image is read, whatever source it comes from."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class LargeFileError(Exception):
    """An encoded image is longer than the reader wants to hold now; it may be read without a limit later."""


class ReadImage(Protocol):
    """Reads an encoded image; safe to call from several threads."""

    def __call__(self, max_bytes: int | None = None) -> bytes:
        """Returns the encoded image.

        Raises:
          ImageError: "missing" or "unreadable".
          LargeFileError: it is known to be longer than `max_bytes`; nothing of it was read.
        """
        ...


class KeyedRead(NamedTuple):
    """How a row's image is read, with the row's key, which its random views are drawn from."""

    key: str
    read_image: ReadImage
