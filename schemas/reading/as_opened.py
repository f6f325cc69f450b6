"""Whether a dataset is still the one that was opened: a job that embeds failed rows again replaces shards.

Promises: no file of another manifest is taken for one of the manifest that was read. Shards change only while there is
no manifest, so it is enough to look at the manifest once a file is open. Copies of files in a store are compared with
the manifest's SHA-256, and so are files of one block, each time that they are read.
"""

import pathlib

from lit_precompute.schemas.manifest.manifest import Manifest
from lit_precompute.schemas.manifest.parts import ShardFile
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError, Folder, is_url

# What tells two files of one name apart.
_Stamp = tuple[int, int, int]


class AsOpened:
    """The manifest of a folder when it was opened. Thread-safe."""

    def __init__(self, folder: Folder):
        """Remembers which file the manifest is; call it before the manifest is read."""
        self._folder = folder
        self._first = _stamp(folder)
        self._later: tuple[_Stamp | None, Manifest] | None = None

    def check(self, file: ShardFile, table: str, shard: int) -> None:
        """Checks a file on this machine once it is open.

        Raises:
          DatasetError: it may have been replaced since the manifest was read.
        """
        stamp = _stamp(self._folder)
        if (stamp is None or stamp != self._first) and (why := self.why_changed(file, table, shard)):
            raise DatasetError(why)

    def why_changed(self, file: ShardFile, table: str, shard: int) -> str:
        """Returns what to say of a file that the manifest, as it is now, does not have; "" if it has it."""
        stamp = _stamp(self._folder)
        if stamp is None or self._later is None or self._later[0] != stamp:
            try:
                self._later = stamp, Manifest.read(self._folder)
            except DatasetError as error:
                return f"{self._folder.path}: is being changed since it was opened; open it again later ({error})"
        shards = self._later[1].shards
        if table in shards.files and shard < len(shards) and shards.file(table, shard) == file:
            return ""
        return f"{self._folder.path}: shard {shard} has been changed since the dataset was opened; open it again"


def _stamp(folder: Folder) -> _Stamp | None:
    """Returns the stamp of a manifest on this machine; None if it is in a store, or not there."""
    if is_url(folder.path):
        return None
    try:
        found = pathlib.Path(folder.path, MANIFEST_NAME).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
