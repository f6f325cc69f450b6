"""One file from one folder to another, checked by its SHA-256 on the way.

Promises: what is written is what the manifest describes, whole or not at all; memory is bounded by 8 MiB a file. Not
here: whether the file is there already.
"""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from lit_precompute.schemas.dataset_files import Described, check_content, check_file, missing_file
from lit_precompute.schemas.storage import DatasetError, Folder, copy_file, is_url, read_range, unique_name

# Larger files go through a temporary one; a smaller one is one request, and from store to store never on this disk.
_IN_MEMORY_BYTES = 8 << 20
SCRATCH_NAME = "copy"  # how the names of temporary files begin


def transfer(source: Folder, name: str, file: Described, target: Folder, new_name: str) -> None:
    """Copies one file.

    Args:
      source: the folder that has it.
      name: of the file there.
      file: what it must be.
      target: the folder to copy it to.
      new_name: its name there.

    Raises:
      DatasetError: it is missing, or not the one described; nothing was written.
    """
    where = source.join(name)
    is_small, goes_there = file.bytes <= _IN_MEMORY_BYTES, is_url(target.path)
    if is_small and (goes_there or is_url(where)):
        data = _read(where, file, file.bytes)
        if goes_there:
            target.write(new_name, data)
            return
        with scratch_file(target) as temporary:
            temporary.write_bytes(data)
            target.upload(temporary, new_name)
        return
    with scratch_file(target) as temporary:
        _fetch(where, temporary, file)
        target.upload(temporary, new_name)


def check_whole(folder: Folder, name: str, file: Described) -> None:
    """Reads one file.

    Raises:
      DatasetError: it is missing, or not the one described.
    """
    where = folder.join(name)
    if not is_url(where):
        if not pathlib.Path(where).is_file():
            raise DatasetError(missing_file(where))
        check_file(where, pathlib.Path(where), file)
    elif file.bytes <= _IN_MEMORY_BYTES:
        _read(where, file, file.bytes + 1)  # one more, so that a longer file shows
    else:
        with scratch_file(folder) as temporary:
            _fetch(where, temporary, file)


@contextlib.contextmanager
def scratch_file(target: Folder) -> Iterator[pathlib.Path]:
    """Yields the path of a temporary file to be uploaded to a folder; a kill leaves nothing beside the files there."""
    temporary = target.scratch() / unique_name(SCRATCH_NAME)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _read(where: str, file: Described, num_bytes: int) -> bytes:
    try:
        data = read_range(where, 0, num_bytes)
    except FileNotFoundError as error:
        raise DatasetError(missing_file(where)) from error
    check_content(where, data, file)
    return data


def _fetch(where: str, temporary: pathlib.Path, file: Described) -> None:
    if is_url(where):
        try:
            copy_file(where, temporary, check=lambda path: check_file(where, path, file))
        except FileNotFoundError as error:
            raise DatasetError(missing_file(where)) from error
        return
    if not pathlib.Path(where).is_file():
        raise DatasetError(missing_file(where))
    shutil.copyfile(where, temporary)
    check_file(where, temporary, file)
