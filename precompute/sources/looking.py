"""Looking into all files of a source in one process: what workers do in a job, for sources that need no job."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from lit_precompute.precompute.sources.planning import check_repeats, join_slices, repeated_hashes
from lit_precompute.precompute.sources.source import FileLook, ListedFile, Source, Survey, WorkUnit


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookedSource:
    """A source, its files, and what was found in them; `looks` are `without_hashes`."""

    source: Source
    files: tuple[ListedFile, ...]
    looks: tuple[FileLook, ...]
    survey: Survey

    def units(self, rows_per_unit: int) -> list[WorkUnit]:
        """Returns the rows as units."""
        return list(join_slices((part for look in self.looks for part in look.slices), rows_per_unit))


def look_into(
    source: Source,
    rows_per_slice: int,
    *,
    files: Sequence[ListedFile] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LookedSource:
    """Returns what is in all files of a source, checked.

    Args:
      source: the source.
      rows_per_slice: rows of each slice but a file's last.
      files: its files, if they have been listed.
      progress: called with (files looked into, number of files) after each.

    Raises:
      SourceError: a file cannot be read or breaks a rule, there are no rows, or a key repeats.
    """
    files = source.files() if files is None else files
    looks: list[FileLook] = []
    hashes: list[bytes] = []
    for file in files:
        look = source.look(file, rows_per_slice)
        hashes.append(look.key_hashes)
        looks.append(look.without_hashes())
        progress(len(looks), len(files))
    survey = source.survey(looks)
    if suspects := repeated_hashes(hashes):
        keys = (key for look in looks for part in look.slices for key in source.keys(part))
        check_repeats(keys, suspects, source.on_repeated_keys)
    return LookedSource(source=source, files=tuple(files), looks=tuple(looks), survey=survey)
