"""Opening a source by its path: the one place that knows every format.

Promises: `open_source` explains why a path cannot be a source, before any work. A new format is one module and one
entry in `_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lit_precompute.precompute.sources.files import Finder, Opener, open_first
from lit_precompute.precompute.sources.source import Example, Source, SourceColumns, SourceError
from lit_precompute.precompute.sources.table import units as table
from lit_precompute.precompute.sources.webdataset import units as webdataset
from lit_precompute.precompute.sources.webdataset.tar_paths import find_tars, tars_in
from lit_precompute.precompute.sources.webdataset.tar_samples import SampleName
from lit_precompute.schemas.storage import find_files, open_file

# Rows read at a time when looking up single rows.
_LOOK_UP_ROWS = 4096

_Open = Callable[[str, str, SourceColumns, SampleName, Opener, Finder], Source]

_FORMATS: dict[str, _Open] = {
    **dict.fromkeys(
        table.FORMATS, lambda path, name, columns, _, opener, __: table.open_table(path, name, columns, opener)
    ),
    "webdataset": lambda path, _, columns, sample_name, opener, find: webdataset.open_tars(
        path, columns, opener, find, sample_name
    ),
}


def format_names() -> list[str]:
    """Returns the formats that `open_source` takes."""
    return list(_FORMATS)


def open_source(
    path: str,
    *,
    format: str | None = None,
    columns: SourceColumns | None = None,
    sample_name: SampleName = "first-dot",
    opener: Opener = open_file,
    find: Finder = find_files,
) -> Source:
    """Returns the images and texts at `path`, checked.

    Args:
      path: a table (.csv, .tsv, .jsonl), or webdataset tar files: one tar, a folder of tars, a glob pattern
        (data-*.tar) or a brace pattern (data-{0000..0012}.tar).
      format: one of `format_names()`; None: by the path.
      columns: the columns' names, where they differ from the defaults of `SourceColumns`.
      sample_name: where the names in tars are cut into a sample's name and a suffix.
      opener: opens a path; the default takes local paths and URLs (`schemas.storage`).
      find: lists what a glob pattern matches, as `opener` would open it.

    Raises:
      SourceError: unknown format, no such file, no rows, no such column, a repeated key, a damaged file.
    """
    name = _check_format(path, format, find)
    if sample_name != "first-dot" and name != "webdataset":
        raise SourceError(f"{path}: --sample-name {sample_name} is for tars, and this is {name}")
    return _FORMATS[name](path, name, columns or SourceColumns(), sample_name, opener, find)


def check_source(
    path: str, *, format: str | None = None, opener: Opener = open_file, find: Finder = find_files
) -> list[str]:
    """Returns the files of the source at `path`; only checks that the first can be opened.

    Raises:
      SourceError: unknown format, or no such file.
    """
    name = _check_format(path, format, find)
    files = [path] if name in table.FORMATS else find_tars(path, find)
    open_first(files[0], opener).close()
    return files


def _check_format(path: str, format: str | None, find: Finder) -> str:
    """Returns the given format, or the one that the path implies."""
    name = format or _format_of(path, find)
    if name not in _FORMATS:
        raise SourceError(f"{path}: --source-format must be one of {', '.join(format_names())}, got {name!r}")
    return name


def _format_of(path: str, find: Finder) -> str:
    """Returns the format that a path's suffix indicates."""
    suffix = path.rpartition("/")[2].rpartition(".")[2].lower()
    if suffix in table.SUFFIXES:
        return suffix
    if suffix in ("tar", "tgz") or path.lower().endswith(".tar.gz") or find(tars_in(path)):
        return "webdataset"
    raise SourceError(
        f"{path}: unknown format; a source is a .csv, .tsv or .jsonl table, a .tar file, a pattern of .tar files or a "
        f"folder of them; for any other file name, set --source-format to one of {', '.join(format_names())}"
    )


def find_examples(source: Source, keys: Iterable[str]) -> Iterator[Example]:
    """Yields the rows with these keys, in the source's order; their images are read on request.

    Raises:
      SourceError: a key is not in the source; raised after the last row that is.
    """
    wanted = set(keys)
    for unit in source.units(_LOOK_UP_ROWS):
        if not wanted:
            return
        for example in source.read(unit):
            if example.key in wanted:
                wanted.remove(example.key)
                yield example
    if wanted:
        raise SourceError(f"{source.info.path}: no row has the key {min(wanted)!r} (keys not found: {len(wanted)})")
