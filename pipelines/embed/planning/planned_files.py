"""The files of a source as they were when the job was planned: a dataset must not mix two versions of a file.

Not here: files in a store, which may be described in one way by a listing and in another by a request.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import is_url, local_path


class FileVersion(NamedTuple):
    """A local file's path, size and time of its last change."""

    path: str
    num_bytes: int
    changed_ns: int


def version_of(path: str) -> FileVersion | None:
    """Returns the version of a file; None if it is not a local one, or cannot be found."""
    local = local_path(path) if is_url(path) else pathlib.Path(path)
    if local is None:
        return None
    try:
        found = local.stat()
    except FileNotFoundError:  # reported when it is opened
        return None
    return FileVersion(path, found.st_size, found.st_mtime_ns)


@dataclasses.dataclass(frozen=True)
class PlannedFiles:
    """The versions of a source's local files, by their names in the source."""

    versions: Mapping[str, FileVersion] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str], paths: Sequence[str]) -> "PlannedFiles":
        """Returns the versions of the files at `paths`, which the source calls `names`."""
        versions = ((name, version_of(path)) for name, path in zip(names, paths, strict=True))
        return cls({name: version for name, version in versions if version is not None})

    def check(self, names: Iterable[str] | None = None) -> None:
        """Compares files (None: all) with those that were planned; what is not there any more is not compared.

        Raises:
          SourceError: a file has changed.
        """
        for name in self.versions if names is None else names:
            planned = self.versions.get(name)
            if planned is not None and version_of(planned.path) not in (None, planned):
                raise SourceError(f"{planned.path} changed while it was embedded: start again with another --output")

    @contextlib.contextmanager
    def unchanged(self, names: Sequence[str]) -> Iterator[None]:
        """Checks files when the block ends; if they have changed, that is the cause of an error in the block."""
        try:
            yield
        except Exception as error:  # of any type: what a changed file holds can be anything
            try:
                self.check(names)
            except SourceError as cause:
                raise cause from error
            raise
        self.check(names)
