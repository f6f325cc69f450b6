"""Hostile files of twenty kinds, drawn from a seed.

    for file in generate(seed, count): ...

`IMAGES` are files of single images; every other kind makes a source of its own.
"""

import dataclasses
import random
from collections.abc import Callable

from tests.faults.hostile import columnar, images, tables, tars
from tests.faults.hostile.contents import Content

IMAGES: dict[str, Callable[[random.Random], Content]] = {
    "cut-at-markers": images.cut_at_markers,
    "wrong-headers": images.wrong_headers,
    "bombs": images.bombs,
    "odd-sizes": images.odd_sizes,
    "not-images": images.not_images,
    "corrupt-exif": images.corrupt_exif,
    "odd-modes": images.odd_modes,
    "flipped-bytes": images.flipped_bytes,
}
SOURCES: dict[str, Callable[[random.Random], Content]] = {
    "tar-names": tars.names,
    "tar-links": tars.links,
    "tar-cut": tars.cut,
    "tar-damaged": tars.damaged,
    "tar-compressed": tars.compressed,
    "table-quotes": tables.quotes,
    "table-encodings": tables.encodings,
    "table-long": tables.long_lines,
    "json-lines": tables.json_lines,
    "parquet-values": columnar.parquet_values,
    "parquet-damaged": columnar.parquet_damaged,
    "records": columnar.records,
}


@dataclasses.dataclass(frozen=True)
class HostileFile:
    """A file: its kind, its name, its bytes, and how many rows it has if that has one answer."""

    kind: str
    name: str
    data: bytes
    num_rows: int | None


def generate(seed: object, count: int) -> list[HostileFile]:
    """Returns files of all kinds in turn; each is determined by the seed, its kind and its number."""
    kinds = IMAGES | SOURCES
    found = []
    for number in range(max(count, len(kinds))):
        kind = list(kinds)[number % len(kinds)]
        content = kinds[kind](random.Random(f"{seed}:{kind}:{number}"))
        found.append(HostileFile(kind, f"{kind}-{number:04d}{content.suffix}", content.data, content.num_rows))
    return found
