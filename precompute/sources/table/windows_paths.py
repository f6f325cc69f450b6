r"""Images whose paths were written on Windows: cats\1.png, C:\cats\1.png.

Promises: a file whose name has the backslashes is found first; only where there is none are they read as slashes.
"""

from __future__ import annotations

import errno
import re

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.files import Opener, read_image
from lit_precompute.precompute.sources.values import shown_path
from lit_precompute.schemas.storage import beside

BACKSLASHES = "a path with backslashes, read with slashes where no file has that name"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def is_windows_path(path: str) -> bool:
    """Returns whether a path may have been written on Windows."""
    return "\\" in path or _DRIVE.match(path) is not None


def read_windows_image(opener: Opener, table: str, path: str, max_bytes: int | None = None) -> bytes:
    """Returns the bytes of the image at `path` beside `table`, else of the one at the path with slashes.

    Raises:
      ImageError: "missing" or "unreadable".
      LargeFileError: see `read_image`.
    """
    try:
        return read_image(opener, beside(table, path), max_bytes)
    except ImageError as error:
        # A path without slashes is one name, which may be longer than a file's name can be.
        too_long = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG
        if error.reason != "missing" and not too_long:
            raise
    try:
        return read_image(opener, beside(table, path.replace("\\", "/")), max_bytes)
    except ImageError as error:
        if error.reason != "missing":
            raise
        about = "; it names a drive of Windows: make it relative to the table's folder" if _DRIVE.match(path) else ""
        with_slashes = ", nor with slashes for its backslashes" if "\\" in path else ""
        raise ImageError("missing", f"no such file: {shown_path(beside(table, path))}{with_slashes}{about}") from error
