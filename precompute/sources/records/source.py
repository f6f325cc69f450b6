"""Files of tf.Example records as a source: TFRecord, ArrayRecord, TFDS.

Promises: a file's records are its rows, in order; none is skipped. A record's key is its feature `key`, or the one that
the user named, or TFDS's `tfds_id`; where a file's first record has none of these, it is made of the name of the file,
relative to the folder that was given, and the record's number: `train.tfrecord-00000-of-00002/17`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.precompute.sources.files import Finder, Opener, open_first
from lit_precompute.precompute.sources.listing import list_files, relative_name
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.records.array_records import ArrayRecordFiles
from lit_precompute.precompute.sources.records.examples import Record, make_example, parse_record, record_key
from lit_precompute.precompute.sources.records.features import Features, tables_of
from lit_precompute.precompute.sources.records.fields import shown_features
from lit_precompute.precompute.sources.records.files import RecordFiles
from lit_precompute.precompute.sources.records.format import endings_of
from lit_precompute.precompute.sources.records.tfrecords import TFRecordFiles
from lit_precompute.precompute.sources.source import Example, FileLook, FileSlice, ListedFile, SourceError, Survey
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import TableSchema
from lit_precompute.schemas.wording import counted

RECORD_FILES = {"tfrecord": TFRecordFiles, "array-record": ArrayRecordFiles}
# Records of each file in which planning looks for features.
_NUM_FIRST = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordSource:
    """See `Source`. Made by `make_records`.

    Attributes:
      path: as given.
      kind: the format.
      options: how it is read.
      endings: of the names of its files in a folder.
      features: what the features of its records mean.
      container: its files' format.
      opener: opens a path.
      find: lists what a glob pattern matches.
    """

    path: str
    kind: str
    options: Mapping[str, Any]
    endings: tuple[str, ...]
    features: Features
    container: RecordFiles
    opener: Opener
    find: Finder

    @property
    def on_repeated_keys(self) -> str:
        """What to do."""
        return "name a feature that differs in every record as --key-column, or remove copies of records"

    def files(self) -> list[ListedFile]:
        """Returns the files; opens the first."""
        files = list_files(self.path, self.find, self.endings)
        open_first(files[0].path, self.opener).close()
        return files

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Counts a file's records, and reads the first."""
        look, first = self.container.look(file, rows_per_slice, num_records=None, num_first=_NUM_FIRST)
        records = [parse_record(raw, file.path) for raw in first]
        if records and records[0].features is None:
            raise SourceError(f"{records[0].where}: must be a tf.Example, and is something else")
        key_feature = self.key_feature(records[0] if records else None)
        there = sorted({name for record in records for name in record.there})
        return dataclasses.replace(look, key_hashes=self.hashes(look, key_feature), findings={"features": there})

    def fields(self, file: ListedFile) -> Mapping[str, str]:
        """Returns the features of the first record; see `HasFields`."""
        _, first = self.container.look(file, 1, num_records=None, num_first=1)
        return shown_features(parse_record(first[0], file.path)) if first else {}

    def hashes(self, look: FileLook, key_feature: str | None) -> bytes:
        """Returns the hashes of a file's keys, if they are made of the numbers of its records, and these are known."""
        if key_feature is not None or any(part.num_rows is None for part in look.slices):
            return b""
        return hash_keys(key for part in look.slices for key in self._numbered(part))

    def survey(self, looks: Sequence[FileLook]) -> Survey:
        """Checks that there are rows, and what the user named."""
        if not any(look.slices for look in looks):
            raise SourceError(f"{self.path}: no records in {counted(len(looks), 'file')}")
        there = {name for look in looks for name in look.findings["features"]}
        tables = tables_of(self.path, self.features, there)
        return Survey(tables=tables, extent=f"{counted(len(looks), 'file')} of records")

    def keys(self, part: FileSlice) -> Iterator[tuple[str, str]]:
        """Yields each row's key and record; reads records only if their keys are in them."""
        key_feature, records = self._records(part)
        if key_feature is None and part.num_rows is not None:
            for number, key in enumerate(self._numbered(part), part.first_row):
                yield key, f"{part.path}, record {number}"
            return
        for record in records:
            yield record_key(record, key_feature, self._numbered_key(part.path, record.number)), record.where

    def read(self, part: FileSlice, tables: Sequence[TableSchema]) -> Iterator[Example]:
        """Yields the slice's rows."""
        has_labels = any(table.name == "labels" for table in tables)
        key_feature, records = self._records(part)
        num_rows = 0
        for record in records:
            num_rows += 1
            default_key = self._numbered_key(part.path, record.number)
            yield make_example(record, self.features, key_feature, default_key, has_labels=has_labels)
        if part.num_rows is not None and num_rows != part.num_rows:
            raise SourceError(
                f"{part.path}: had {part.num_rows} records from number {part.first_row} on when the job was planned "
                f"and has {num_rows} now; the file changed: start again with a new output directory"
            )

    def key_feature(self, first: Record | None) -> str | None:
        """Returns the feature that a file's keys are in; None if they are made of numbers."""
        return None if first is None else self.features.key_of(first.there)

    def _records(self, part: FileSlice) -> tuple[str | None, Iterator[Record]]:
        """Returns the feature that a file's keys are in, which its first record decides, and the records of a slice."""
        records = (parse_record(raw, part.path) for raw in self.container.read(part))
        if part.start == 0:
            first = next(records, None)
            records = itertools.chain([] if first is None else [first], records)
        else:
            alone = self.container.read(FileSlice(path=part.path, start=0, stop=1, num_rows=1))
            first = next((parse_record(raw, part.path) for raw in alone), None)
        return self.key_feature(first), records

    def _numbered(self, part: FileSlice) -> Iterator[str]:
        assert part.num_rows is not None, "only reading tells the numbers of these records"
        return (self._numbered_key(part.path, part.first_row + row) for row in range(part.num_rows))

    def _numbered_key(self, path: str, number: int) -> str:
        return f"{relative_name(self.path, path)}/{number}"


def make_records(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> RecordSource:
    """Returns the records at a path, which are not read yet.

    Args:
      spec: the path of a file, a folder of files or a pattern of them, and the names of the features.
      name: of the format: tfrecord or array-record.
      opener: opens a path.
      find: lists what a glob pattern matches.
    """
    return RecordSource(
        path=spec.path,
        kind=name,
        options={"columns": spec.columns.recorded()},
        endings=endings_of(name),
        features=Features.of(spec.columns),
        container=RECORD_FILES[name](opener),
        opener=opener,
        find=find,
    )
