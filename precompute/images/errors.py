"""Why an image cannot be used."""

from __future__ import annotations

import struct
import zlib
from typing import Literal

Reason = Literal["empty", "not-a-picture", "truncated", "too-large", "unsupported", "missing", "unreadable", "too-slow"]

# Reasons that say nothing about an image's bytes, so that another read may go well: a file that is there by now, a
# permission that was given, a disk that answers again. The other reasons are about bytes, which stay as they are.
MAY_PASS: frozenset[Reason] = frozenset({"missing", "unreadable", "too-slow"})

# What Pillow's parsers and those here raise on damaged bytes; the fuzz test searches for others.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)


class ImageError(ValueError):
    """An image that cannot be used: `reason` is one of `Reason`, `str()` describes the fault."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(reason, message)
        self.reason: Reason = reason
        self.message = message

    def without_traceback(self) -> ImageError:
        """Returns the same error without what it was raised in: those frames hold pixels as long as it is kept."""
        return ImageError(self.reason, self.message)

    def __str__(self) -> str:
        return self.message
