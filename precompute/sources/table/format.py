"""Tables as a format of sources."""

from __future__ import annotations

from lit_precompute.precompute.sources.files import Finder, Opener
from lit_precompute.precompute.sources.formats import Format
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec

_SUFFIXES = ("csv", "tsv", "jsonl")
_ENDINGS = {f".{name}{compressed}": name for name in _SUFFIXES for compressed in ("", ".gz", ".zst", ".zstd")}


def endings_of(name: str) -> tuple[str, ...]:
    """Returns what the names of a format's files end in: those of semicolon-csv in .csv, .csv.gz ..."""
    suffix = name.rpartition("-")[2]
    return tuple(ending for ending, each in _ENDINGS.items() if each == suffix)


def _make(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> Source:
    from lit_precompute.precompute.sources.table.source import make_table

    return make_table(spec, name, opener, find)


FORMAT = Format(
    names=(*_SUFFIXES, "quoted-tsv", "semicolon-csv"),
    endings=_ENDINGS,
    make=_make,
    described="a .csv, .tsv or .jsonl table",
    plural="tables",
    noun="table",
    options=frozenset({"gather"}),
)
