"""Reading records that have key, vectors and texts side by side. A file is a unit."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from lit_precompute.precompute.exchange.files.tf_example import parse, texts_of
from lit_precompute.precompute.exchange.files.words import label_and_notes, texts_and_notes
from lit_precompute.precompute.exchange.found import files_at, look_at_all, source_files
from lit_precompute.precompute.exchange.rows import (
    BLOCK_ROWS,
    TEXT_EMBEDDINGS,
    Fault,
    ImportPlan,
    Rows,
    Unit,
    VectorTable,
)
from lit_precompute.precompute.sources.records.features import first_of
from lit_precompute.precompute.sources.records.files import local_name
from lit_precompute.precompute.sources.records.frames import open_records, read_frames, scan_frames
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import listed, read_key
from lit_precompute.schemas import captions_table, labels_table
from lit_precompute.schemas.storage import FoundFile, open_file
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS

NAME = "tfrecord"
_IMAGES = ("image_embedding", EMBEDDING, "img_emb", "emb")
_TEXT_VECTORS = ("text_embedding", "text_emb")
_TEXTS = ("texts", "captions", "caption", "text")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """TFRecord files of tf.Example, such as TFDS's laion400m/embeddings; compressed by gzip or not."""

    key_column: str = ""
    """Feature with unique names; without one, `key` or `tfds_id`, else rows are numbered."""
    vector_column: str = ""
    """Feature of the embeddings; without one, `image_embedding`, `embedding`, `img_emb` or `emb`."""
    text_column: str = ""
    """Feature of the text or texts; without one, `texts`, `captions`, `caption` or `text`."""
    label_column: str = ""
    """Feature of the class; without one, `label`."""
    number_keys: bool = False
    """Name rows by their file and number in it, such as train.tfrecord-00000-of-00002/17."""


class _Names(NamedTuple):
    """The features that the records have, as their first one shows."""

    key: str | None
    vectors: Mapping[str, str]
    texts: str | None
    label: str | None


class _Look(NamedTuple):
    """What a file has: its records if they can be counted cheaply, and the features of its first one."""

    num_rows: int | None
    names: _Names | None
    widths: Mapping[str, int]


@dataclasses.dataclass
class TFRecordSource:
    """See `ImportSource`."""

    path: str
    options: ImportOptions
    rows_per_shard: int
    _widths: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def plan(self) -> ImportPlan:
        """See `ImportSource`."""
        found = (
            files_at(self.path, (".tfrecord", ".tfrecords", ".tfrecord.gz"))
            if _is_one(self.path)
            else _sharded(self.path)
        )
        looks = dict(zip(found, look_at_all(self._look, list(found)), strict=True))
        filled = {path: look for path, look in looks.items() if look.names is not None}
        if not filled:
            raise SourceError(f"{self.path}: no records in {len(found):,} files")
        first_path, first = next(iter(filled.items()))
        for path, look in filled.items():
            if (look.names, look.widths) != (first.names, first.widths):
                raise SourceError(
                    f"{path}: has the features {look.names}, of widths {dict(look.widths)}, and {first_path} "
                    f"{first.names}, {dict(first.widths)}; all files must have the same"
                )
        assert first.names is not None
        self._widths = first.widths
        tables = [captions_table()] if first.names.texts else []
        return ImportPlan(
            layout=NAME,
            path=self.path,
            options=dataclasses.asdict(self.options),
            files=source_files([found]),
            vectors=[
                VectorTable(name=table, width=width, vector_type="float32") for table, width in first.widths.items()
            ],
            tables=[*tables, labels_table()] if first.names.label else tables,
            units=[Unit(name=path, files=(path,), stop=looks[path].num_rows) for path in found],
        )

    def read(self, unit: Unit) -> Iterator[Rows]:
        """See `ImportSource`."""
        path, names = unit.files[0], None
        gathered: list[Mapping[str, Any]] = []
        row = 0
        with open_records(open_file, path) as (stream, _):
            for number, frame in enumerate(read_frames(stream, path)):
                gathered.append(parse(frame.data, f"{path}, record {number}"))
                names = names or self._names(gathered[0], path)
                if len(gathered) == BLOCK_ROWS:
                    yield self._rows(gathered, names, unit, row)
                    row, gathered = row + len(gathered), []
        if gathered and names is not None:
            yield self._rows(gathered, names, unit, row)

    def _rows(self, records: list[Mapping[str, Any]], names: _Names, unit: Unit, row: int) -> Rows:
        faults: dict[int, Fault] = {}
        vectors: dict[str, np.ndarray[Any, Any]] = {}
        for table, feature in names.vectors.items():
            vectors[table] = np.zeros((len(records), self._widths[table]), np.float32)
            for place, record in enumerate(records):
                values = record.get(feature)
                if isinstance(values, np.ndarray) and values.shape == (self._widths[table],):
                    vectors[table][place] = values
                else:
                    faults.setdefault(place, _fault(values, feature, self._widths[table]))
        columns: dict[str, dict[str, list[Any]]] = {}
        notes: list[tuple[int, str]] = []
        if names.texts:
            texts = [texts_and_notes(texts_of(record.get(names.texts)), names.texts) for record in records]
            columns["captions"] = {"texts": [found for found, _ in texts]}
            notes += [(place, what) for place, (_, left_out) in enumerate(texts) for what in left_out]
        if names.label:
            labels = [label_and_notes(_first(record, names.label), names.label) for record in records]
            columns["labels"] = {"label": [found for found, _ in labels]}
            notes += [(place, what) for place, (_, left_out) in enumerate(labels) for what in left_out]
        keys = [_key(record, names.key, unit, row + place) for place, record in enumerate(records)]
        return Rows(keys=keys, vectors=vectors, columns=columns, faults=faults, notes=notes)

    def _look(self, path: str) -> _Look:
        with open_records(open_file, path) as (stream, is_compressed):
            frame = next(read_frames(stream, path), None)
            is_here = not is_compressed and local_name(stream) is not None
            num_rows = len(scan_frames(stream, path)) - 1 if is_here else None
        if frame is None:
            return _Look(0, None, {})
        record = parse(frame.data, f"{path}, record 0")
        names = self._names(record, path)
        return _Look(num_rows, names, {table: len(record[feature]) for table, feature in names.vectors.items()})

    def _names(self, record: Mapping[str, Any], path: str) -> _Names:
        """Returns the features to read, by a file's first record.

        Raises:
          SourceError: there is no vector, or no feature that the user named.
        """
        given = self.options
        for name in filter(None, (given.key_column, given.vector_column, given.text_column, given.label_column)):
            if name not in record:
                raise SourceError(
                    f"{path}: no feature {name!r} in its first record; there are {listed(sorted(record))}"
                )
        image = first_of((given.vector_column,) if given.vector_column else _IMAGES, record)
        texts = first_of(_TEXT_VECTORS, record)
        vectors = {EMBEDDINGS: image, TEXT_EMBEDDINGS: texts} if texts else {EMBEDDINGS: image}
        for name in vectors.values():
            if name is None or not isinstance(record[name], np.ndarray) or not len(record[name]):
                what = f"no feature {' or '.join(_IMAGES)}" if name is None else f"{name!r} has no floats"
                raise SourceError(f"{path}: {what} in its first record; there are {listed(sorted(record))}")
        keys = (given.key_column,) if given.key_column else ("key", "tfds_id")
        return _Names(
            key=None if given.number_keys else first_of(keys, record),
            vectors={table: name for table, name in vectors.items() if name is not None},
            texts=first_of((given.text_column,) if given.text_column else _TEXTS, record),
            label=first_of((given.label_column or "label",), record),
        )


def _is_one(path: str) -> bool:
    return path.lower().endswith((".tfrecord", ".tfrecords", ".gz")) or any(mark in path for mark in "*?[")


def _sharded(folder: str) -> dict[str, FoundFile]:
    """Returns the TFRecord files of a folder, also those whose names end in -00000-of-00002."""
    return files_at(f"{glob.escape(folder.rstrip('/'))}/*tfrecord*", ("",))


def _fault(values: Any, feature: str, width: int) -> Fault:
    if values is None or not len(values):
        return Fault("missing", f"{feature!r} has no vector")
    return Fault("wrong-width", f"{feature!r} has {len(values)} values, the first record's has {width}")


def _first(record: Mapping[str, Any], name: str) -> Any:
    return next(iter(texts_of(record.get(name))), None)


def _key(record: Mapping[str, Any], name: str | None, unit: Unit, row: int) -> str:
    def fault(message: str) -> SourceError:
        return SourceError(f"{unit.place(row)}: {message}")

    if name is None:
        return f"{unit.name.rpartition('/')[2]}/{row}"
    values = texts_of(record.get(name))
    if len(values) != 1 or isinstance(values[0], bytes):
        raise fault(f"feature {name!r} must be one key, got {listed(map(str, values))}; --key-column names another")
    return read_key({name: values[0]}, name, fault)
