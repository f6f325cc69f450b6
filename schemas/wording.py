"""Words that messages and pages share: counts with their nouns, texts made visible, the operating system's errors."""

import errno
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

_NO_ROOM = {errno.ENOSPC: "no space left", errno.EDQUOT: "the quota is used up"}
_IN_THE_WAY = (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST)
_FEW = 8  # about as many files as a unit writes at once
# Control characters but for line breaks and tabs, marks that change the direction of text, and halves of characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns "1 shard", "2 shards", "1,024 shards"; `plural` where it is more than an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or noun + 's'}"


def visible(text: str) -> str:
    r"""Returns the text with its control characters as Python writes them: `\x1b`, `\u202e`."""
    return _INVISIBLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    r"""Returns the text as `visible` does, its line breaks and tabs as `\n` and `\t`: it cannot pass for more lines."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def os_error_in_words(error: OSError, folder: str | None = None) -> str:
    """Returns what went wrong and where; a full disk is named by its file system.

    Args:
      error: the error.
      folder: where files were being written, for errors that name no file; those for a store are made here first.
    """
    # Of a copy that finds no room the first name is the source's.
    name = error.filename2 or error.filename
    place = name or (tempfile.gettempdir() if folder and "://" in folder else folder)
    if error.errno in _NO_ROOM and place is not None:
        file_system = _file_system(pathlib.Path(str(place)))
        if error.errno == errno.ENOSPC and (most := _files_if_used_up(file_system)):
            return (
                f"no more files can be created on the file system at {file_system} ({most:,} in all), writing {place}"
            )
        size = f"{shutil.disk_usage(file_system).total / 1e6:,.1f} MB in all"
        return f"{_NO_ROOM[error.errno]} on the file system at {file_system} ({size}), writing {place}"
    # A file that is renamed has two names: where it was written, and where it is to be.
    name = error.filename2 if error.errno in _IN_THE_WAY and error.filename2 else error.filename
    if name and error.strerror:
        return f"{name}: {error.strerror}"
    return str(error) or repr(error)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error, what it comes from, and so on; each once, since two errors may name each other."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def is_full_disk(error: BaseException | None) -> bool:
    """Returns whether an error, or one that it comes from, says that a disk or a quota is full.

    A library's own error contains the system's words.
    """
    return any(
        (isinstance(each, OSError) and each.errno in _NO_ROOM)
        or any(os.strerror(number) in str(each) for number in _NO_ROOM)
        for each in chain_of(error)
    )


def _files_if_used_up(file_system: pathlib.Path) -> int:
    """Returns how many files a file system can hold if these, not its bytes, are what ran out; otherwise 0.

    What was half written has been removed by now, so that there may be a little of both, or all of its bytes.
    """
    found = os.statvfs(file_system)
    are_few = found.f_favail < max(_FEW, found.f_files / 20)
    return found.f_files if are_few and found.f_favail * found.f_blocks < found.f_bavail * found.f_files else 0


def _file_system(path: pathlib.Path) -> pathlib.Path:
    """Returns where the file system that holds a path is mounted."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.is_mount())
