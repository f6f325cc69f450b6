"""Reads the manifest of a folder, or says why it has none: a job may publish at the same moment."""

import pathlib

from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, Folder, is_url


def read_published(folder: Folder) -> bytes:
    """Returns the bytes of a folder's manifest.

    Raises:
      DatasetError: there is none: it is that of an unfinished job, or no dataset's.
    """
    try:
        return folder.read(MANIFEST_NAME)
    except (FileNotFoundError, NotADirectoryError) as error:
        if _has_work(folder):
            where = folder.join(MANIFEST_NAME)
            raise DatasetError(
                f"{where}: missing, this is an unfinished job; run its command again to resume"
            ) from error
    # A job publishes first and then removes what it worked with: perhaps between the two looks.
    try:
        return folder.read(MANIFEST_NAME)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(_why_no_dataset(folder)) from error


def _has_work(folder: Folder) -> bool:
    if is_url(folder.path):
        return folder.can_list and bool(folder.find(WORK_FOLDER))
    return pathlib.Path(folder.path, WORK_FOLDER).is_dir()


def _why_no_dataset(folder: Folder) -> str:
    path = None if is_url(folder.path) else pathlib.Path(folder.path)
    if path is not None and path.is_file():
        return f"{path}: is a file, not a dataset; a dataset is a directory with a {MANIFEST_NAME}: check the path"
    if path is not None and not path.is_dir():
        return f"{path}: there is no directory of this name; check the path"
    return f"{folder.join(MANIFEST_NAME)}: missing, this is not an embedding dataset; check the path"
