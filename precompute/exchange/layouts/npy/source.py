"""Reading arrays of vectors and files of keys."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from lit_precompute.precompute.exchange.aligned import check_counts, look_at_vectors, one_width
from lit_precompute.precompute.exchange.files.keys import KeyFile
from lit_precompute.precompute.exchange.files.npy import Vectors, VectorStream, look_at
from lit_precompute.precompute.exchange.files.words import unit_key
from lit_precompute.precompute.exchange.found import files_in, look_at_all, source_files
from lit_precompute.precompute.exchange.rows import (
    BLOCK_ROWS,
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

NAME = "npy"
TEXTS, KEYS = "text-embeddings", "keys"
_NAME = re.compile(r"(embeddings(?:-[a-z0-9_.-]+?)?|text-embeddings|keys)(?:_(\d{5,18}))?\.(npy|txt)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """NumPy's arrays of vectors with a file of keys: embeddings.npy and keys.txt, or a file and --keys."""

    keys: str = ""
    """File of the keys, one a line or an array of strings, if a single file of vectors is imported."""
    number_keys: bool = False
    """Name rows by their file and number in it, such as embeddings/17; needs no keys."""


@dataclasses.dataclass
class NpySource:
    """See `ImportSource`."""

    path: str
    options: ImportOptions
    rows_per_shard: int
    _keys: dict[str, KeyFile] = dataclasses.field(default_factory=dict)

    def plan(self) -> ImportPlan:
        """See `ImportSource`."""
        groups, found = self._find()
        tables = list(groups[0])
        looks = {
            name: look_at_all(look_at_vectors, [group[name] for group in groups]) for name in tables if name != KEYS
        }
        counts = [{group[name]: looks[name][number].num_rows for name in looks} for number, group in enumerate(groups)]
        for group, count in zip(groups, counts, strict=True):
            if KEYS in group:
                count[group[KEYS]] = self._key_file(group[KEYS]).num_rows
        check_counts(counts)
        units: list[Unit] = []
        for number, group in enumerate(groups):
            first, num_rows = group[EMBEDDINGS], looks[EMBEDDINGS][number].num_rows
            units += cut_units(first, [f"{name}={path}" for name, path in group.items()], num_rows, self.rows_per_shard)
        return ImportPlan(
            layout=NAME,
            path=self.path,
            options=dataclasses.asdict(self.options),
            files=source_files([found]),
            vectors=[_table(name, [group[name] for group in groups], looks[name]) for name in looks],
            tables=[],
            units=units,
        )

    def read(self, unit: Unit) -> Iterator[Rows]:
        """See `ImportSource`."""
        assert unit.stop is not None
        files = dict(file.split("=", 1) for file in unit.files)
        keys = self._key_file(files.pop(KEYS)).read(unit.start, unit.stop) if KEYS in files else _numbered(unit)
        with contextlib.ExitStack() as opened:
            streams: dict[str, VectorStream] = {}
            for name, path in files.items():
                stream = opened.enter_context(open_first(path, open_file))
                streams[_table_name(name)] = VectorStream(stream, look_at(stream, path), path, unit.start)
            for some in keys:
                yield Rows(keys=some, vectors={name: stream.take(len(some)) for name, stream in streams.items()})

    def _key_file(self, path: str) -> KeyFile:
        if path not in self._keys:
            self._keys[path] = KeyFile(path, self.rows_per_shard)
        return self._keys[path]

    def _find(self) -> tuple[list[dict[str, str]], dict[str, FoundFile]]:
        """Returns for each number the files by what they hold, and all files.

        Raises:
          SourceError: one of them is missing.
        """
        if self.path.lower().endswith(".npy"):
            found = {self.path: FoundFile(None, "")}
            group = {EMBEDDINGS: self.path}
            if not self.options.number_keys:
                group[KEYS] = self.options.keys or self._keys_beside()
                found[group[KEYS]] = FoundFile(None, "")
            return [group], found
        found = {path: file for path, file in files_in(self.path, (".npy", ".txt")).items() if _match(path)}
        by_number: dict[str, dict[str, str]] = {}
        for path in found:
            match = _match(path)
            assert match is not None
            group = by_number.setdefault(match[2] or "", {})
            if match[1] in group:
                raise SourceError(f"{path}: is there beside {group[match[1]]}; remove the wrong one")
            if match[1] != KEYS or not self.options.number_keys:
                group[match[1]] = path
        if not by_number:
            raise SourceError(f"{self.path}: no file embeddings.npy or embeddings_00000.npy; give a single file's path")
        wanted = sorted({EMBEDDINGS, *(name for group in by_number.values() for name in group)})
        wanted += [] if self.options.number_keys or KEYS in wanted else [KEYS]
        for number, group in by_number.items():
            if absent := [name for name in wanted if name not in group]:
                raise SourceError(
                    f"{self.path}: no file {absent[0]}{number and '_' + number}.npy or .txt beside "
                    f"{next(iter(group.values()))}; without keys, --number-keys numbers the rows"
                )
        order = [EMBEDDINGS, *(name for name in wanted if name != EMBEDDINGS)]
        return [{name: by_number[number][name] for name in order} for number in sorted(by_number)], found

    def _keys_beside(self) -> str:
        folder = self.path.rpartition("/")[0] or "."
        beside = [path for path in files_in(folder, (".npy", ".txt")) if path.rpartition("/")[2].startswith("keys.")]
        if len(beside) != 1:
            raise SourceError(f"{self.path}: its rows have no keys; name their file with --keys, or give --number-keys")
        return beside[0]


def _match(path: str) -> re.Match[str] | None:
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return match if match and (match[1] == KEYS or match[3] == "npy") else None


def _table(name: str, paths: Sequence[str], looks: Sequence[Vectors]) -> VectorTable:
    about: Mapping[str, Vectors] = dict(zip(paths, looks, strict=True))
    common = one_width(about)
    return VectorTable(name=_table_name(name), width=common.width, vector_type=common.vector_type)


def _table_name(name: str) -> str:
    return TEXT_EMBEDDINGS if name == TEXTS else name


def _numbered(unit: Unit) -> Iterator[list[str]]:
    assert unit.stop is not None
    num_rows = unit.stop - unit.start
    for first in range(0, num_rows, BLOCK_ROWS):
        yield [unit_key(unit, row) for row in range(first, min(first + BLOCK_ROWS, num_rows))]
