"""Which files of a dataset are missing, truncated or changed: each is compared with the manifest's SHA-256.

Promises: memory is bounded by the files under way and those that are wrong. Not here: what is in them (checking).
"""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator

from lit_precompute.schemas.dataset_files import Described, attachment_name, list_name
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.source import SOURCE_LIST
from lit_precompute.schemas.sharing.transfer import check_whole
from lit_precompute.schemas.storage import DatasetError, Folder, Receiver


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnFile:
    """A file of a dataset's own folder.

    Attributes:
      name: in the folder.
      described: what it must be.
      table: the table that it is of; "" for an attachment or a list.
      shard: the shard that it is of.
    """

    name: str
    described: Described
    table: str = ""
    shard: int = -1


def own_files(manifest: Manifest) -> Iterator[OwnFile]:
    """Yields the files that a dataset has itself, but for the manifest and the list of shards, which were read."""
    for name, info in manifest.attachments.items():
        yield OwnFile(name=attachment_name(name), described=info)
    if SOURCE_LIST in manifest.lists:
        info = manifest.lists[SOURCE_LIST]
        yield OwnFile(name=list_name(SOURCE_LIST, info.sha256), described=info)
    for table in manifest.tables:
        for shard in range(len(manifest.shards)) if table.reference is None else ():
            if file := manifest.shards.file(table.name, shard):
                yield OwnFile(name=file.name, described=file.info, table=table.name, shard=shard)


def find_wrong_files(
    folder: Folder, manifest: Manifest, num_threads: int, report: Callable[[int], None] = lambda num_files: None
) -> dict[OwnFile, str]:
    """Returns what is wrong with each file that is not the one that the manifest describes.

    Args:
      folder: the dataset.
      manifest: its manifest.
      num_threads: files to read at once.
      report: called with the number of files that were looked at.
    """

    def fault(file: OwnFile) -> str:
        try:
            check_whole(folder, file.name, file.described, receiver)
        except DatasetError as error:
            return str(error)
        return ""

    wrong: dict[OwnFile, str] = {}
    with Receiver() as receiver, concurrent.futures.ThreadPoolExecutor(num_threads) as threads:
        for number, (file, words) in enumerate(_in_order(threads, own_files(manifest), fault, 2 * num_threads), 1):
            if words:
                wrong[file] = words
            report(number)
    return wrong


def _in_order(
    threads: concurrent.futures.Executor, files: Iterator[OwnFile], work: Callable[[OwnFile], str], num_ahead: int
) -> Iterator[tuple[OwnFile, str]]:
    """Yields each file with the result of the work, a few files ahead."""
    waiting = list[tuple[OwnFile, concurrent.futures.Future[str]]]()
    for file in files:
        waiting.append((file, threads.submit(work, file)))
        if len(waiting) > num_ahead:
            first, result = waiting.pop(0)
            yield first, result.result()
    for file, result in waiting:
        yield file, result.result()
