"""What a JPEG declares before its pixels: the coding process and the size."""

from __future__ import annotations

import struct
from typing import NamedTuple

# Frame markers of processes that are not decoded. Source: ITU-T T.81, table B.1; ITU-T T.87 for JPEG-LS.
OTHER_PROCESSES = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xCB: "lossless",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical",
    0xDE: "hierarchical",
    0xF7: "JPEG-LS",
}
_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})


class Frame(NamedTuple):
    """What a frame header declares."""

    marker: int
    bits: int
    height: int
    width: int
    num_components: int


def find_frame(data: bytes | memoryview) -> Frame | None:
    """Returns the first frame header of a JPEG, None if there is none before damage or the end."""
    place, view = 2, memoryview(data)
    while place + 10 <= len(view) and view[place] == 0xFF:
        marker = view[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in OTHER_PROCESSES or marker in _DECODED_FRAMES:
            return Frame(marker, *struct.unpack_from(">BHHB", view, place + 4))
        place += 2 + int.from_bytes(view[place + 2 : place + 4], "big")
    return None
