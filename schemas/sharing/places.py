"""Where a derived dataset's references lead from another place."""

import posixpath
from collections.abc import Callable

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Reference
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.storage import DatasetError, Folder, is_url
from lit_precompute.schemas.tables import TableSchema


def references_from(
    manifest: Manifest, source: Folder, target: Folder, say: Callable[[str], None] = lambda words: None
) -> list[Reference]:
    """Returns a dataset's references as they have to be in a copy of its own files.

    A relative path stays where it leads to the same dataset from the copy, too; elsewhere it becomes absolute.

    Args:
      manifest: of the dataset.
      source: where the dataset is.
      target: where the copy will be.
      say: called with a line for each reference that other machines cannot follow.

    Raises:
      DatasetError: a dataset that is referred to has changed or vanished.
    """
    here = TableLocator(source, manifest.shards, manifest.references)
    there = TableLocator(target, manifest.shards, manifest.references)
    found = list(manifest.references)
    for table in manifest.tables:
        if table.reference is None:
            continue
        folder = here.files(table).folder
        path = manifest.references[table.reference].path
        if not (is_url(path) or posixpath.isabs(path) or _leads_to_the_same(there, table)):
            found[table.reference] = Reference(path=folder.path, digest=found[table.reference].digest)
        if is_url(target.path) and not is_url(folder.path):
            say(f"table '{table.name}' stays in {folder.path}, which is on this machine: elsewhere the copy is no use")
    return found


def _leads_to_the_same(locator: TableLocator, table: TableSchema) -> bool:
    try:
        locator.files(table)
    except DatasetError:
        return False
    return True
