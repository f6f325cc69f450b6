"""The source as a manifest has it, and reading the lists beside a manifest."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from lit_precompute.schemas.dataset_files import list_name, read_checked
from lit_precompute.schemas.manifest.parts import ListInfo, SourceFile, SourceInfo
from lit_precompute.schemas.manifest.source_list import SourceFileList
from lit_precompute.schemas.storage import Folder

SHARD_LIST, SOURCE_LIST = "shards", "source"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifestSource:
    """What was embedded. The files are read when they are first asked for, and then kept.

    Attributes:
      kind: of source.
      path: as given.
      options: how it was read.
      num_files: files as resolved.
      num_bytes: their size.
    """

    kind: str
    path: str
    options: Mapping[str, Any]
    num_files: int
    num_bytes: int
    _files: Sequence[SourceFile] = dataclasses.field(default=(), repr=False)
    _list: tuple[Folder, ListInfo] | None = dataclasses.field(default=None, repr=False)

    @functools.cached_property
    def files(self) -> Sequence[SourceFile]:
        """The source's files as resolved, in order.

        Raises:
          DatasetError: the list is missing or damaged.
        """
        if self._list is None:
            return self._files
        folder, info = self._list
        name, data = read_list(folder, SOURCE_LIST, info)
        return SourceFileList.decode(data, num_files=self.num_files, num_bytes=self.num_bytes, where=folder.join(name))

    def info(self) -> SourceInfo:
        """Returns the source as its producer described it."""
        return SourceInfo(kind=self.kind, path=self.path, files=list(self.files), options=dict(self.options))


def read_list(folder: Folder, what: str, info: ListInfo) -> tuple[str, bytes]:
    """Returns the name and the bytes of a list beside the manifest.

    Raises:
      DatasetError: it is missing, or not the one that the manifest names.
    """
    name = list_name(what, info.sha256)
    return name, read_checked(folder, name, info)
