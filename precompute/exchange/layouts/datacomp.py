"""DataComp's metadata: HASH.parquet with a uid, a url and a text a row, and HASH.npz with arrays of vectors.

The rows of a pair of files are aligned by position. Keys are the uids, as in DataComp's own lists of subsets.

Source: mlfoundations/datacomp, download_upstream.py and baselines.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

from lit_precompute.precompute.exchange.aligned import check_counts, count_rows, one_width, read_aligned
from lit_precompute.precompute.exchange.files.npy import Vectors, VectorStream
from lit_precompute.precompute.exchange.files.npz import damage_of, open_array
from lit_precompute.precompute.exchange.files.tables import TableFile
from lit_precompute.precompute.exchange.files.words import WordColumns, WordNames, columns_left_out, same_tables
from lit_precompute.precompute.exchange.found import files_in, look_at_all, source_files
from lit_precompute.precompute.exchange.layout import Layout, Reading
from lit_precompute.precompute.exchange.rows import ImportPlan, Rows, Unit, VectorTable
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.tables import EMBEDDINGS

NAME = "datacomp"
_TOWERS = {"b32": "OpenAI CLIP ViT-B/32", "l14": "OpenAI CLIP ViT-L/14"}
_NAMES = WordNames(key=("uid",), texts=("text", "caption"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """DataComp's metadata: pairs of HASH.parquet and HASH.npz; keys are uids, the towers are known."""

    arrays: tuple[str, ...] = ("l14_img", "l14_txt", "b32_img", "b32_txt")
    """Arrays to import: the first becomes `embeddings`, another X_img `embeddings-X`, X_txt `text-embeddings-X`."""

    def __post_init__(self):
        if not self.arrays or not self.arrays[0].endswith("_img") or len(set(self.arrays)) < len(self.arrays):
            raise SourceError(f"--arrays must differ, the first being one of images such as l14_img, got {self.arrays}")
        if wrong := [name for name in self.arrays if not name.endswith(("_img", "_txt"))]:
            raise SourceError(f"--arrays must end in _img or _txt, got {wrong[0]}")


@dataclasses.dataclass(frozen=True)
class DataCompSource:
    """See `ImportSource`. A pair of files is a unit, since arrays are unpacked from their beginning on."""

    path: str
    options: ImportOptions
    rows_per_shard: int

    def plan(self) -> ImportPlan:
        """See `ImportSource`."""
        found = files_in(self.path, (".parquet", ".npz"))
        stems = sorted({path.rpartition(".")[0] for path in found})
        if not stems:
            raise SourceError(f"{self.path}: no files HASH.parquet and HASH.npz")
        for stem in stems:
            for ending in (".parquet", ".npz"):
                if stem + ending not in found:
                    other = ".npz" if ending == ".parquet" else ".parquet"
                    raise SourceError(f"{stem}{ending}: is not there, and {stem}{other} is; fetch it")
        counts: list[dict[str, int]] = []
        arrays = look_at_all(self._look, [f"{stem}.npz" for stem in stems])
        for stem, num_rows, looks in zip(
            stems, look_at_all(count_rows, [f"{stem}.parquet" for stem in stems]), arrays, strict=True
        ):
            of_arrays = {f"{stem}.npz, array {name!r}": look.num_rows for name, look in looks.items()}
            counts.append({f"{stem}.parquet": num_rows, **of_arrays})
        check_counts(counts)
        paths = [f"{stem}.parquet" for stem in stems]
        tables = same_tables(paths, _NAMES)
        with TableFile(f"{stems[0]}.parquet") as file:
            file.require(_NAMES.key, "no option")
        return ImportPlan(
            layout=NAME,
            path=self.path,
            options={"arrays": list(self.options.arrays)},
            files=source_files([found]),
            vectors=[
                self._table(name, {stem: looks[name] for stem, looks in zip(stems, arrays, strict=True)})
                for name in self.options.arrays
            ],
            tables=tables,
            notes=columns_left_out(paths, _NAMES),
            units=[
                Unit(name=f"{stem}.parquet", files=(f"{stem}.parquet", f"{stem}.npz"), stop=next(iter(group.values())))
                for stem, group in zip(stems, counts, strict=True)
            ],
        )

    def read(self, unit: Unit) -> Iterator[Rows]:
        """See `ImportSource`."""
        table_path, arrays_path = unit.files
        with contextlib.ExitStack() as opened:
            opened.enter_context(damage_of(arrays_path))
            streams: dict[str, VectorStream] = {}
            for name in self.options.arrays:
                stream, vectors = opened.enter_context(open_array(arrays_path, name))
                streams[self._table_name(name)] = VectorStream(stream, vectors, f"{arrays_path}, array {name!r}")
            table = opened.enter_context(TableFile(table_path))
            yield from read_aligned(unit, streams, table, WordColumns.find(table, _NAMES))

    def _look(self, path: str) -> dict[str, Vectors]:
        found: dict[str, Vectors] = {}
        for name in self.options.arrays:
            with open_array(path, name) as (_, vectors):
                found[name] = vectors
        return found

    def _table_name(self, array: str) -> str:
        tower, _, kind = array.rpartition("_")
        if array == self.options.arrays[0]:
            return EMBEDDINGS
        return f"{EMBEDDINGS}-{tower}" if kind == "img" else f"text-embeddings-{tower}"

    def _table(self, array: str, looks: Mapping[str, Vectors]) -> VectorTable:
        common = one_width({f"{stem}.npz, array {array!r}": look for stem, look in looks.items()})
        tower = _TOWERS.get(array.rpartition("_")[0], "")
        return VectorTable(
            name=self._table_name(array), width=common.width, vector_type=common.vector_type, tower=tower
        )


LAYOUT = Layout(name=NAME, reading=Reading(options=ImportOptions, open=DataCompSource))
