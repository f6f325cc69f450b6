"""A fault of a dataset and what mends it."""

from typing import NamedTuple

from lit_precompute.schemas.dataset_files import is_list_name
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, Folder, list_names

ANEW = "written wrong from the beginning: make it again, in another --output"
CHECK_THE_PATH = "check the path"
REMOVE = "remove these files"


class Fault(NamedTuple):
    """What is wrong, and what mends it: a command, or an act in words."""

    message: str
    remedy: str


def from_a_copy(folder: Folder) -> str:
    """Returns the command that mends a dataset's files."""
    return f"lit-data repair {folder.path} --from COPY"


def without_manifest(folder: Folder) -> str:
    """Returns what mends a dataset whose manifest or list of shards cannot be read."""
    if folder.exists(MANIFEST_NAME):
        return from_a_copy(folder)
    if folder.find(WORK_FOLDER):
        return "run the command that writes there again"
    try:
        names = list_names(folder.path).files
    except OSError:  # there is no such folder
        return CHECK_THE_PATH
    return from_a_copy(folder) if any(map(is_list_name, names)) else CHECK_THE_PATH
