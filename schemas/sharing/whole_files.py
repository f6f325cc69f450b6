"""All of a dataset in another folder, to the byte; only references may have to lead elsewhere from there."""

import concurrent.futures
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.schemas.dataset_files import attachment_name, list_name, read_checked
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.document import digest
from lit_precompute.schemas.manifest.parts import Reference
from lit_precompute.schemas.sharing.file_tasks import FileTask
from lit_precompute.schemas.sharing.transfer import transfer
from lit_precompute.schemas.storage import MANIFEST_NAME, Batch, DatasetError, Folder, Receiver
from lit_precompute.schemas.tables import TableSchema
from lit_precompute.schemas.writing.publishing import check_files, manifest_bytes

_THREADS = 8  # for attachments and lists, which are flushed one by one


class WholeFiles:
    """The files of a whole copy.

    Attributes:
      described: which copy it is, for the destination's note.
      own_tables: the tables whose files are copied.
      origins: the numbers of the shards that they are of.
    """

    def __init__(
        self,
        source: Folder,
        manifest: Manifest,
        references: Sequence[Reference],
        target: Folder,
        receiver: Receiver,
    ):
        """Takes a dataset, its references as they are from the target, the target, and the connections to the dataset.

        Raises:
          DatasetError: the dataset has just been changed.
        """
        self._source, self._manifest, self._target = source, manifest, target
        self._receiver = receiver
        self._data, self._digest = _manifest_at(source, manifest, references)
        self.described: Mapping[str, Any] = {"digest": manifest.digest}
        self.own_tables = [table for table in manifest.tables if table.reference is None]
        self.origins = range(len(manifest.shards))

    def tasks(self, table: TableSchema) -> Iterator[FileTask]:
        """Yields the files of one table."""
        for shard in self.origins:
            if (file := self._manifest.shards.file(table.name, shard)) is None:
                continue

            def write(batch: Batch, name: str = file.name, info: Any = file.info) -> None:
                transfer(self._source, name, info, batch, name, self._receiver)

            yield FileTask(name=file.name, num_bytes=file.info.bytes, write=write)

    def is_of(self, found: Manifest) -> bool:
        """Returns whether a complete dataset is this copy."""
        return found.digest == self._digest

    def publish(self) -> None:
        """Writes attachments, lists and the manifest, once all files are there."""
        check_files(self._target, self._manifest.shards, self.own_tables)
        small = {attachment_name(name): info for name, info in self._manifest.attachments.items()}
        small |= {list_name(what, info.sha256): info for what, info in self._manifest.lists.items()}

        def copy(name: str) -> None:
            self._target.write(name, read_checked(self._source, name, small[name]))

        with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
            for _ in threads.map(copy, small):
                pass
        self._target.write(MANIFEST_NAME, self._data)


def _manifest_at(source: Folder, manifest: Manifest, references: Sequence[Reference]) -> tuple[bytes, str]:
    """Returns a manifest's bytes with other references, and its digest."""
    data = source.read(MANIFEST_NAME)
    content = json.loads(data)
    if content.get("digest") != manifest.digest:
        raise DatasetError(f"{source.path}: has just been changed; copy it again")
    if list(references) == list(manifest.references):
        return data, manifest.digest
    content["references"] = [reference.model_dump() for reference in references]
    content["digest"] = digest(content)
    return manifest_bytes(content), content["digest"]
