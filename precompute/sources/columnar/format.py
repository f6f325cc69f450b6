"""Columnar files as formats of sources."""

from __future__ import annotations

import glob

from lit_precompute.precompute.sources.columnar.img2dataset import has_files
from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.formats import Format, Place
from lit_precompute.precompute.sources.listing import ends_in, in_any_case
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec

_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow"}
# Where files are below a folder: data/train-00000-of-00002.parquet of a repository, default/train/0000.parquet of its
# conversion to Parquet.
DEPTHS = ("", "*/", "*/*/")
# The formats of several files in a folder, by what their files are.
_FOLDERS = {"huggingface": "arrow", "img2dataset-files": "parquet"}


def endings_of(name: str) -> tuple[str, ...]:
    """Returns what the names of a format's files end in."""
    return tuple(ending for ending, each in _ENDINGS.items() if each == _FOLDERS.get(name, name))


def _make(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> Source:
    from lit_precompute.precompute.sources.columnar.units import make_columnar

    return make_columnar(spec, name, opener, find)


def _in_folder(place: Place) -> str | None:
    names = place.inside
    folders = [name for name, file in names.items() if file.is_folder]
    files = [name for name, file in names.items() if not file.is_folder]
    if "dataset_dict.json" in files or {"state.json", "dataset_info.json"} <= set(files):
        return "huggingface"
    if has_files(files, folders):
        return "img2dataset-files"
    below = glob.escape(place.path.rstrip("/"))
    for depth in DEPTHS if folders else DEPTHS[:1]:
        for ending, name in _ENDINGS.items():
            pattern = f"{below}/{depth}*{in_any_case(ending)}"
            if place.find(pattern) if depth else any(ends_in(file, ending) for file in files):
                return name
    return None


FORMAT = Format(
    names=("parquet", "arrow", "huggingface", "img2dataset-files"),
    endings=_ENDINGS,
    make=_make,
    described="a .parquet, .arrow or .feather file, a dataset that Hugging Face's datasets saved",
    plural="Parquet and Arrow",
    options=frozenset({"split"}),
    in_folder=_in_folder,
)
