"""Opening a source by what the user says of it: the one place that knows every format.

Promises: `make_source` explains why a path cannot be a source, before any work. A new format is one module and one
entry in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lit_precompute.precompute.sources.columnar.format import FORMAT as COLUMNAR
from lit_precompute.precompute.sources.files import Finder, FoundOnce, Opener
from lit_precompute.precompute.sources.folders.format import FORMAT as FOLDER
from lit_precompute.precompute.sources.formats import Format, Recognised, check_options, recognise
from lit_precompute.precompute.sources.keyed import KeyedSource
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.records.format import RECORDS, TFDS
from lit_precompute.precompute.sources.source import Example, Source, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.precompute.sources.table.format import FORMAT as TABLE
from lit_precompute.precompute.sources.webdataset.format import FORMAT as WEBDATASET
from lit_precompute.schemas.storage import find_described, open_file
from lit_precompute.schemas.wording import counted

# Rows read at a time when looking up single rows.
_LOOK_UP_ROWS = 4096

# A folder is of the first format that finds its files there.
FORMATS = (
    WEBDATASET,
    TABLE,
    TFDS,
    RECORDS,
    COLUMNAR,
    FOLDER,
)


def format_names() -> list[str]:
    """Returns the formats that `make_source` takes."""
    return [name for format in FORMATS for name in format.names]


def files_in_words(name: str, num_files: int) -> str:
    """Returns how many files a source has, by what they are: "3 tars".

    Args:
      name: of its format.
      num_files: how many there are.
    """
    return counted(num_files, _format_of(name).noun)


def format_in_words(name: str) -> str:
    """Returns what a source of a format is: "webdataset", "folder of images"."""
    return _format_of(name).words.get(name, name)


def _format_of(name: str) -> Format:
    return next(format for format in FORMATS if name in format.names)


def recognise_source(spec: SourceSpec, *, find: Finder = find_described) -> Recognised:
    """Returns the format of a source, and how it was recognised.

    Raises:
      SourceError: unknown format, or options that are not for it.
    """
    recognised = recognise(spec, FORMATS, find)
    check_options(spec, recognised, FORMATS)
    return recognised


def make_source(spec: SourceSpec, *, opener: Opener = open_file, find: Finder = find_described) -> Source:
    """Returns the source of images and texts; nothing of it is read yet.

    Args:
      spec: where it is, and how it is read.
      opener: opens a path; the default takes local paths and URLs (`schemas.storage`).
      find: lists what a glob pattern matches, as `opener` would open it.

    Raises:
      SourceError: no path, unknown format, or options that are not for it.
    """
    if not spec.path:  # which the file system takes for the working directory
        raise SourceError("a source's path is empty")
    once = FoundOnce(find)
    recognised = recognise_source(spec, find=once.first)
    return recognised.format.make(spec, recognised.name, opener, once)


def make_keyed_source(spec: SourceSpec, *, opener: Opener = open_file, find: Finder = find_described) -> KeyedSource:
    """Returns a source that is read without images: by keys, or by paths where there is no key.

    Raises:
      SourceError: see `make_source`; or it is no table and no file of columns.
    """
    source = make_source(spec, opener=opener, find=find)
    if not isinstance(source, KeyedSource):
        raise SourceError(
            f"{spec.path}: only {TABLE.described}, {COLUMNAR.described} is read by key, and this is {source.kind}"
        )
    return source.without_images()


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
