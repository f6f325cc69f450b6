"""Opening a source by what the user says of it: the one place that knows every format.

Promises: `make_source` explains why a path cannot be a source, before any work. A new format is one module and one
entry in `_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.source import Example, Source, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.precompute.sources.table import units as table
from lit_precompute.precompute.sources.webdataset import units as webdataset
from lit_precompute.precompute.sources.webdataset.tar_paths import tars_in
from lit_precompute.schemas.storage import find_files, open_file

# Rows read at a time when looking up single rows.
_LOOK_UP_ROWS = 4096

MakeSource = Callable[[SourceSpec, str, Opener, Finder], Source]
"""Makes a source from a spec, the name of its format, and how files are opened and found; reads nothing."""

_FORMATS: dict[str, MakeSource] = {
    **dict.fromkeys(table.FORMATS, table.make_table),
    "webdataset": webdataset.make_webdataset,
}


def format_names() -> list[str]:
    """Returns the formats that `make_source` takes."""
    return list(_FORMATS)


def make_source(spec: SourceSpec, *, opener: Opener = open_file, find: Finder = find_files) -> Source:
    """Returns the source of images and texts; nothing of it is read yet.

    Args:
      spec: where it is, and how it is read.
      opener: opens a path; the default takes local paths and URLs (`schemas.storage`).
      find: lists what a glob pattern matches, as `opener` would open it.

    Raises:
      SourceError: unknown format, or options that are not for it.
    """
    name = spec.format or _format_of(spec.path, find)
    if name not in _FORMATS:
        raise SourceError(f"{spec.path}: --source-format must be one of {', '.join(format_names())}, got {name!r}")
    if spec.sample_name != "first-dot" and name != "webdataset":
        raise SourceError(f"{spec.path}: --sample-name {spec.sample_name} is for tars, and this is {name}")
    return _FORMATS[name](spec, name, opener, find)


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
    looked = look_into(source, _LOOK_UP_ROWS)
    for look in looked.looks:
        for part in look.slices:
            if not wanted:
                return
            for example in source.read(part, looked.survey.tables):
                if example.key in wanted:
                    wanted.remove(example.key)
                    yield example
    if wanted:
        raise SourceError(f"{source.path}: no row has the key {min(wanted)!r} (keys not found: {len(wanted)})")
