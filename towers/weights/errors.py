"""The error of the weights readers: what is wrong with a file, and where in it."""

import contextlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator

# What zipfile raises on damaged bytes, found by flipping them: its own error, those of the decompressors, of seeking
# and of decoding names, and those for encrypted members and future versions.
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    OverflowError,
)


class WeightsError(ValueError):
    """A weights file that cannot be used; the message names the file, the rule and the value."""


@contextlib.contextmanager
def reading_zip(where: str) -> Iterator[None]:
    """Converts what zipfile raises to a WeightsError that says `where`; a WeightsError passes."""
    try:
        yield
    except WeightsError:
        raise
    except _DAMAGED_ZIP as error:
        raise WeightsError(f"{where}: missing or damaged in its zip file ({error}); fetch it again") from error
