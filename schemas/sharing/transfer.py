"""One file from one folder to another, checked by its SHA-256 on the way.

Promises: what is written is what the manifest describes, whole or not at all; memory is bounded by 8 MiB a file. Not
here: whether the file is there already.
"""

import contextlib
import hashlib
import pathlib
import shutil
from collections.abc import Callable, Iterator

from lit_precompute.schemas.dataset_files import Described, check_content, check_described, check_file, missing_file
from lit_precompute.schemas.storage import Batch, DatasetError, Folder, Receiver, is_url, read_range, unique_name

# To a store, a larger file goes through a temporary one; a smaller one is one request.
_IN_MEMORY_BYTES = 8 << 20
SCRATCH_NAME = "copy"  # how the names of temporary files begin


def transfer(
    source: Folder, name: str, file: Described, target: Folder | Batch, new_name: str, receiver: Receiver
) -> None:
    """Copies one file.

    Args:
      source: the folder that has it.
      name: of the file there.
      file: what it must be.
      target: the folder to copy it to.
      new_name: its name there.
      receiver: has the connections to the source.

    Raises:
      DatasetError: it is missing, or not the one described; nothing was written.
    """
    where = source.join(name)
    if is_url(target.path) and file.bytes <= _IN_MEMORY_BYTES:
        target.write(new_name, _read(where, file, receiver))
        return
    with scratch_file(target) as temporary:
        if is_url(where):
            with temporary.open("wb") as out:
                _receive(where, file, receiver, out.write)
        else:
            _check_is_there(where)
            shutil.copyfile(where, temporary)
            check_file(where, temporary, file)
        target.upload(temporary, new_name)


def check_whole(folder: Folder, name: str, file: Described, receiver: Receiver) -> None:
    """Reads one file.

    Raises:
      DatasetError: it is missing, or not the one described.
    """
    where = folder.join(name)
    if is_url(where):
        _receive(where, file, receiver, lambda piece: None, num_more=1)  # one byte more, so that a longer file shows
    else:
        _check_is_there(where)
        check_file(where, pathlib.Path(where), file)


@contextlib.contextmanager
def scratch_file(target: Folder | Batch) -> Iterator[pathlib.Path]:
    """Yields the path of a temporary file, to be uploaded to a folder; a kill leaves nothing beside the files there."""
    temporary = target.scratch() / unique_name(SCRATCH_NAME)
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(where: str, file: Described, receiver: Receiver) -> bytes:
    if is_url(where):
        data = bytearray()
        _receive(where, file, receiver, data.extend)
        return bytes(data)
    _check_is_there(where)
    data = read_range(where, 0, file.bytes)
    check_content(where, data, file)
    return data


def _receive(
    where: str, file: Described, receiver: Receiver, take: Callable[[bytes | memoryview], object], num_more: int = 0
) -> None:
    """Gives `take` the bytes of a remote file, and raises DatasetError unless they are those of `file`."""
    sha256 = hashlib.sha256()

    def take_and_hash(piece: bytes | memoryview) -> None:
        sha256.update(piece)
        take(piece)

    try:
        num_bytes = receiver.receive(where, file.bytes + num_more, take_and_hash)
    except FileNotFoundError as error:
        raise DatasetError(missing_file(where)) from error
    check_described(where, num_bytes, sha256.hexdigest, file)


def _check_is_there(where: str) -> None:
    if not pathlib.Path(where).is_file():
        raise DatasetError(missing_file(where))
