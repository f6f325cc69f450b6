"""NumPy's archives of arrays: members of a zip file, each read as a stream.

Promises: a member is known by its name alone and never becomes a path; nothing is unpacked beyond the rows that are
asked for; members that are encrypted, packed in a rare way, or hold objects are refused by name.
"""

from __future__ import annotations

import contextlib
import errno
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from lit_precompute.precompute.exchange.files.npy import Vectors, check_size, read_header
from lit_precompute.precompute.sources.files import open_first
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import listed
from lit_precompute.schemas.storage import StorageError, open_file

_ENCRYPTED = 0x1
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, OverflowError)


@contextlib.contextmanager
def open_array(path: str, name: str) -> Iterator[tuple[BinaryIO, Vectors]]:
    """Opens an array of vectors in an archive; the stream unpacks it.

    Args:
      path: of the archive.
      name: of the array.

    Raises:
      SourceError: there is no such array, it is no array of vectors, or the archive is damaged.
    """
    where = f"{path}, array {name!r}"
    with open_first(path, open_file) as stream, damage_of(where):
        archive = zipfile.ZipFile(stream)
        member = _member(archive, path, name)
        with archive.open(member) as unpacked:
            vectors = read_header(cast(BinaryIO, unpacked), where)
        check_size(vectors, member.file_size, where)
        with archive.open(member) as unpacked:
            yield cast(BinaryIO, unpacked), vectors


@contextlib.contextmanager
def damage_of(where: str) -> Iterator[None]:
    """Turns what the zip library raises for a damaged archive into a `SourceError`."""
    try:
        yield
    except (SourceError, StorageError):
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning, to which a directory led
            raise
        raise SourceError(f"{where}: damaged archive (a place that cannot be); copy it again") from error
    except (*_DAMAGE, AttributeError, TypeError) as error:
        raise SourceError(f"{where}: damaged archive ({str(error) or type(error).__name__}); copy it again") from error


def _member(archive: zipfile.ZipFile, path: str, name: str) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if member.filename == f"{name}.npy"]
    if not found:
        there = (member.filename.removesuffix(".npy") for member in archive.infolist())
        raise SourceError(f"{path}: no array {name!r}; there are {listed(there)}")
    if len(found) > 1:
        raise SourceError(f"{path}: has {len(found)} arrays {name!r}; only one can be meant")
    if found[0].flag_bits & _ENCRYPTED or found[0].compress_type not in _PACKINGS:
        raise SourceError(f"{path}, array {name!r}: is encrypted or packed in a way that NumPy does not write")
    return found[0]
