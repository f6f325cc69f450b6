"""What the tests of columnar sources share."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.looking import LookedSource, look_into
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import Example
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # as Hugging Face writes images


class Found(NamedTuple):
    key: str
    image: bytes | str
    texts: tuple[str, ...]
    label: str


def look(path: pathlib.Path | str, rows: int = 1000, columns: SourceColumns | None = None, **spec: Any) -> LookedSource:
    columns = columns or SourceColumns()
    return look_into(make_source(SourceSpec(str(path), columns=columns, **spec)), rows)


def examples(looked: LookedSource) -> Iterator[Example]:
    for found in looked.looks:
        for part in found.slices:
            yield from looked.source.read(part, looked.survey.tables)


def read(path: pathlib.Path | str, rows: int = 1000, columns: SourceColumns | None = None, **spec: Any) -> list[Found]:
    return [found(example) for example in examples(look(path, rows, columns, **spec))]


def found(example: Example) -> Found:
    try:
        image: bytes | str = example.read_image()
    except ImageError as error:
        image = f"{error.reason}: {error}"
    return Found(example.key, image, example.texts, example.label)


def write(path: pathlib.Path, columns: dict[str, Any], **options: Any) -> pathlib.Path:
    """Writes a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def images(count: int) -> pa.Array:
    return pa.array([{"bytes": b"image %d" % n, "path": f"{n}.png"} for n in range(count)], IMAGE)
