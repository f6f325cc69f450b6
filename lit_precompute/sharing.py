"""Copying, importing and exporting as functions: what `lit-data copy`, `import` and `export` do, from Python."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_precompute.precompute.exchange.exporting import ExportSummary
    from lit_precompute.precompute.exchange.layout import Layout
    from lit_precompute.schemas import Manifest, VectorType
    from lit_precompute.schemas.sharing.selection import Selection

_NO_OPTIONS: Mapping[str, Any] = {}


def copy_dataset(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    tables: Sequence[str] | None = None,
    shards: str | None = None,
    selection: "Selection | None" = None,
    rows: int | None = None,
) -> "Manifest":
    """Copies a dataset, or a part of it, and returns the copy's manifest; the same call again finishes a copy.

    Args:
      source: the dataset: a directory or a URL.
      destination: a directory, or a URL of a store that can be written to.
      tables: the tables to copy beside `embeddings` and `failures`; None for all.
      shards: the shards to copy, such as `0-9,12`; None for all.
      selection: the rows to copy; None for all.
      rows: how many of these rows to copy, at most, from the first on.

    Raises:
      DatasetError: the dataset, a file of it, or the part cannot be used.
      ClaimError: the destination has another dataset, or other files.
    """
    import dataclasses

    from lit_precompute.schemas.sharing.copying import copy_dataset as run
    from lit_precompute.schemas.sharing.part import Part

    part = Part.parse(tables=None if tables is None else ",".join(tables), shards=shards, rows=rows)
    return run(source, destination, dataclasses.replace(part, selection=selection)).manifest


def import_dataset(
    layout: str,
    path: str,
    output: str | os.PathLike[str],
    *,
    tower: str = "",
    weights: str = "",
    vector_type: "VectorType | None" = None,
    rows_per_shard: int = 65_536,
    options: Mapping[str, Any] = _NO_OPTIONS,
) -> "Manifest":
    """Makes a dataset of another program's embeddings, and returns its manifest; the same call again resumes.

    Args:
      layout: `clip-retrieval`, `datacomp`, `tfrecord`, `parquet`, `huggingface` or `npy`.
      path: where the files are: a path, a pattern or a URL.
      output: a directory, or a URL of a store that can be written to.
      tower: name of the tower that made the embeddings; "" for the one that the layout knows.
      weights: what its weights are called, if they have a name of their own.
      vector_type: type that vectors are stored in; None for the one that loses nothing.
      rows_per_shard: rows of a shard, at most.
      options: the layout's own, named as the flags of `lit-data import LAYOUT --help`.

    Raises:
      ValueError: there is no such layout, or the files cannot be used.
      ClaimError: the output belongs to something else.
    """
    from lit_precompute.precompute.exchange.importing import Declared
    from lit_precompute.precompute.exchange.importing import import_dataset as run
    from lit_precompute.schemas.storage import absolute

    reading = _layout(layout).reading
    if reading is None:
        raise ValueError(f"layout '{layout}' can only be exported")
    source = reading.open(absolute(path, what="path", writing=False), reading.options(**options), rows_per_shard)
    return run(source, output, Declared(tower=tower, weights=weights, vector_type=vector_type)).manifest


def export_dataset(
    dataset: str | os.PathLike[str],
    layout: str,
    output: str | os.PathLike[str],
    *,
    selection: "Selection | None" = None,
    rows_per_file: int | None = None,
    options: Mapping[str, Any] = _NO_OPTIONS,
) -> "ExportSummary":
    """Writes a dataset in another program's layout, and returns what was written: rows, bytes, files, conversions.

    Args:
      dataset: a directory or a URL.
      layout: `clip-retrieval`, `tfrecord`, `parquet`, `huggingface` or `npy`.
      output: a directory, or a URL of a store that can be written to.
      selection: the rows to export; None for all.
      rows_per_file: rows of each file; None for the layout's own number.
      options: the layout's own, named as the flags of `lit-data export LAYOUT --help`.

    Raises:
      DatasetError: the dataset is damaged, empty, or the layout cannot hold it.
      ClaimError: the output contains other files.
    """
    from lit_precompute.precompute.exchange.exporting import export_dataset as run

    found = _layout(layout)
    if found.writing is None:
        raise ValueError(f"layout '{layout}' can only be imported")
    written = found.writing.options(**options)
    return run(os.fspath(dataset), found, written, output, selection=selection, rows_per_file=rows_per_file)


def _layout(name: str) -> "Layout":
    from lit_precompute.precompute.exchange.registry import LAYOUTS

    if name not in LAYOUTS:
        raise ValueError(f"unknown layout '{name}'; there are {', '.join(sorted(LAYOUTS))}")
    return LAYOUTS[name]
