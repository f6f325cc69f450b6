"""The header of NumPy's files, read without evaluating it.

Source: numpy.lib.format (NEP 1), versions 1.0 to 3.0. Its own reader evaluates the header as Python, and is not used.
"""

from __future__ import annotations

import re
import struct
from typing import Any, NamedTuple

NPY_MAGIC = b"\x93NUMPY"
_FIELDS = {
    "descr": re.compile(rb"'descr'\s*:\s*('[^']*'|\[)"),
    "order": re.compile(rb"'fortran_order'\s*:\s*(True|False)"),
    "shape": re.compile(rb"'shape'\s*:\s*\(([\d,\s]{0,200})\)"),
}


class NpyHeader(NamedTuple):
    """The kind of the values as it is written, the shape, the order of the values, and where they begin."""

    descr: str
    shape: tuple[int, ...]
    order: Any
    size: int


def read_npy_header(data: bytes) -> NpyHeader:
    """Returns what a header says; nothing of it is evaluated.

    Raises:
      ValueError: it is damaged.
    """
    version = data[6]
    start, layout = (10, "<H") if version == 1 else (12, "<I")
    (num_bytes,) = struct.unpack_from(layout, data, 8)
    text = data[start : start + num_bytes]
    found = {name: pattern.search(text) for name, pattern in _FIELDS.items()}
    if len(text) < num_bytes or None in found.values():
        raise ValueError("the header of the array cannot be read")
    fields = {name: match[1].decode() for name, match in found.items() if match}
    shape = tuple(int(number) for number in fields["shape"].split(",") if number.strip())
    return NpyHeader(fields["descr"], shape, "F" if fields["order"] == "True" else "C", start + num_bytes)
