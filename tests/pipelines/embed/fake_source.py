"""A source whose files are numbers of rows, for graphs and plans; importable by workers."""

import dataclasses

from lit_precompute.precompute.sources.planning import cut_slices, hash_keys
from lit_precompute.precompute.sources.source import FileLook, ListedFile, SourceError, Survey
from lit_precompute.schemas import captions_table


@dataclasses.dataclass(frozen=True)
class FakeSource:
    """Files named `part-N`, each with some keys."""

    keys_of: dict[str, list[str]]
    kind: str = "fake"
    path: str = "fake"
    on_repeated_keys: str = "rename one"

    @property
    def options(self):
        return {"of": "tests"}

    def files(self):
        return [ListedFile(path=path, num_bytes=10, version="1") for path in self.keys_of]

    def look(self, file, rows_per_slice):
        import numpy as np

        keys = self.keys_of[file.path]
        if not keys:
            raise SourceError(f"{file.path}: is damaged")
        offsets = np.arange(len(keys) + 1)
        return FileLook(
            path=file.path, slices=cut_slices(file.path, offsets, rows_per_slice), key_hashes=hash_keys(keys)
        )

    def survey(self, looks):
        return Survey(tables=(captions_table(),), extent=f"{len(looks)} files")

    def keys(self, part):
        for key in self.keys_of[part.path][part.start : part.stop]:
            yield key, part.path
