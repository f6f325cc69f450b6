"""clip-retrieval's layout, in which LAION's embeddings are published.

    img_emb/img_emb_0.npy         [n, D], float16 or float32
    text_emb/text_emb_0.npy       the same of the captions, if there are any
    metadata/metadata_0.parquet   image_path, caption, key, url ...

Files of one number are aligned by position; numbers may be padded with zeros, and have gaps. A file that is missing in
one folder, or that has other rows than its fellows, is an error.

Source: rom1504/clip-retrieval, clip_inference/writer.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping

from lit_precompute.precompute.exchange.aligned import (
    check_counts,
    count_rows,
    look_at_vectors,
    one_width,
    read_aligned,
)
from lit_precompute.precompute.exchange.files.npy import Vectors, VectorStream, look_at
from lit_precompute.precompute.exchange.files.tables import TableFile
from lit_precompute.precompute.exchange.files.words import WordColumns, WordNames, columns_left_out, same_tables
from lit_precompute.precompute.exchange.found import files_in, look_at_all, source_files
from lit_precompute.precompute.exchange.rows import (
    TEXT_EMBEDDINGS,
    ImportPlan,
    Rows,
    Unit,
    VectorTable,
    cut_units,
)
from lit_precompute.precompute.sources.files import open_first
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import FoundFile, open_file
from lit_precompute.schemas.tables import EMBEDDINGS

NAME = "clip-retrieval"
IMAGES, TEXTS, METADATA = "img_emb", "text_emb", "metadata"
_VECTORS = {IMAGES: EMBEDDINGS, TEXTS: TEXT_EMBEDDINGS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """clip-retrieval's and LAION's folders of .npy and Parquet: img_emb, text_emb, metadata."""

    key_column: str = ""
    """Column of the metadata with unique names; without one, `key` or `image_path`."""
    text_column: str = ""
    """Column of the metadata with the text; without one, `texts`, `caption` or `text`."""
    metadata_folder: str = METADATA
    """Folder of the metadata."""
    number_keys: bool = False
    """Name rows by their file and number in it, such as img_emb_0/17, whatever the metadata says."""
    text_embeddings: bool = True
    """Import `text_emb` as a table of embeddings of the texts, if it is there."""


@dataclasses.dataclass(frozen=True)
class ClipRetrievalSource:
    """See `ImportSource`."""

    path: str
    options: ImportOptions
    rows_per_shard: int

    def plan(self) -> ImportPlan:
        """See `ImportSource`."""
        found = self._find()
        numbers = sorted(found[IMAGES])
        looks: dict[str, dict[int, Vectors]] = {}
        counts: list[dict[str, int]] = [{} for _ in numbers]
        for folder in found:
            paths = [_path(found[folder][number]) for number in numbers]
            if folder in _VECTORS:
                looks[folder] = dict(zip(numbers, look_at_all(look_at_vectors, paths), strict=True))
                rows = [looks[folder][number].num_rows for number in numbers]
            else:
                rows = look_at_all(count_rows, paths)
            for group, path, count in zip(counts, paths, rows, strict=True):
                group[path] = count
        check_counts(counts)
        metadata = [_path(files) for _, files in sorted(found.get(METADATA, {}).items())]
        vectors = [self._table(folder, found[folder], looks[folder]) for folder in looks]
        units = [
            unit
            for number in numbers
            for unit in cut_units(
                _path(found[IMAGES][number]),
                [_path(found[folder][number]) for folder in found],
                looks[IMAGES][number].num_rows,
                self.rows_per_shard,
            )
        ]
        return ImportPlan(
            layout=NAME,
            path=self.path,
            options=dataclasses.asdict(self.options),
            files=source_files(files for folder in found.values() for files in folder.values()),
            vectors=vectors,
            tables=same_tables(
                metadata,
                self._names,
                [(self.options.key_column, "--key-column"), (self.options.text_column, "--text-column")],
            ),
            units=units,
            notes=[*_gaps(numbers), *columns_left_out(metadata, self._names)],
        )

    def read(self, unit: Unit) -> Iterator[Rows]:
        """See `ImportSource`."""
        with contextlib.ExitStack() as opened:
            streams: dict[str, VectorStream] = {}
            table = None
            for path in unit.files:
                folder = path.rpartition("/")[2].rpartition("_")[0]
                if folder in _VECTORS:
                    stream = opened.enter_context(open_first(path, open_file))
                    streams[_VECTORS[folder]] = VectorStream(stream, look_at(stream, path), path, unit.start)
                else:
                    table = opened.enter_context(TableFile(path))
            yield from read_aligned(unit, streams, table, table and WordColumns.find(table, self._names))

    @property
    def _names(self) -> WordNames:
        given = self.options
        key = (given.key_column,) if given.key_column else ("key", "image_path")
        names = WordNames(key=() if given.number_keys else key)
        return dataclasses.replace(names, texts=(given.text_column,)) if given.text_column else names

    def _find(self) -> dict[str, dict[int, Mapping[str, FoundFile]]]:
        """Returns the files of each folder that is there, by number.

        Raises:
          SourceError: a file is missing in one folder, or has a name that says no number.
        """
        folders = {IMAGES: IMAGES, TEXTS: TEXTS, METADATA: self.options.metadata_folder}
        if not self.options.text_embeddings:
            del folders[TEXTS]
        found = {what: _numbered(f"{self.path.rstrip('/')}/{folder}", what) for what, folder in folders.items()}
        if not found[IMAGES]:
            raise SourceError(f"{self.path}/{IMAGES}: no files {IMAGES}_N.npy; a folder of this layout has them")
        found = {what: files for what, files in found.items() if files}
        for what, files in found.items():
            for other, others in found.items():
                if absent := sorted(set(others) - set(files)):
                    there = _path(others[absent[0]])
                    raise SourceError(
                        f"{self.path}/{folders[what]}: no file of {_numbers(absent)}, which {folders[other]} has "
                        f"({there}); there are {len(files):,} files of {what} and {len(others):,} of {other}: fetch "
                        "what is missing, since every later row would be paired with another's"
                    )
        return found

    def _table(
        self, folder: str, files: Mapping[int, Mapping[str, FoundFile]], looks: Mapping[int, Vectors]
    ) -> VectorTable:
        widths = one_width({_path(files[number]): look for number, look in looks.items()})
        return VectorTable(name=_VECTORS[folder], width=widths.width, vector_type=widths.vector_type)


def _numbered(folder: str, what: str) -> dict[int, Mapping[str, FoundFile]]:
    ending = ".parquet" if what == METADATA else ".npy"
    found: dict[int, Mapping[str, FoundFile]] = {}
    for path, file in files_in(folder, (ending,)).items():
        name = path.rpartition("/")[2]
        match = re.fullmatch(rf"{what}_(\d{{1,18}}){re.escape(ending)}", name)
        if match is None:
            raise SourceError(f"{path}: files here must be named {what}_N{ending}; move it elsewhere")
        if (number := int(match[1])) in found:
            raise SourceError(f"{path}: has the number of {_path(found[number])}; remove the wrong one")
        found[number] = {path: file}
    return found


def _path(file: Mapping[str, FoundFile]) -> str:
    return next(iter(file))


def _numbers(numbers: list[int]) -> str:
    few = ", ".join(map(str, numbers[:5]))
    return f"the number {few}" if len(numbers) == 1 else f"the numbers {few}{', ...' if len(numbers) > 5 else ''}"


def _gaps(numbers: list[int]) -> list[str]:
    absent = sorted(set(range(numbers[0], numbers[-1])) - set(numbers)) if numbers[-1] < 10_000_000 else []
    return [f"no folder has a file of {_numbers(absent)}: these rows are not in the dataset"] if absent else []
