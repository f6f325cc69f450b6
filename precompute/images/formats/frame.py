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
_DECODED = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})


# Segments that change neither the pixels' arrangement nor what Pillow makes of the file, if they have this length.
_SHORTEST = {
    0xC4: 2,  # Huffman tables
    0xDD: 2,  # restart interval
    0xE0: 16,  # JFIF
    0xE2: 16,  # colour profile
    0xEE: 14,  # Adobe
    0xFE: 2,  # comment
}
_QUANTIZATION_TABLES, _START_OF_SCAN = 0xDB, 0xDA
_TABLE_BYTES = 65


class Frame(NamedTuple):
    """What a frame header declares."""

    marker: int
    bits: int
    height: int
    width: int
    num_components: int

    def is_decoded(self) -> bool:
        """Returns whether it has pixels, of a kind that is decoded."""
        return self.bits == 8 and self.num_components in (1, 3, 4) and bool(self.width and self.height)


def find_frame(data: bytes | memoryview) -> Frame | None:
    """Returns the first frame header of a JPEG, None if there is none before damage or the end."""
    place, view = 2, memoryview(data)
    while place + 10 <= len(view) and view[place] == 0xFF:
        marker = view[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in OTHER_PROCESSES or marker in _DECODED:
            return Frame(marker, *struct.unpack_from(">BHHB", view, place + 4))
        place += 2 + int.from_bytes(view[place + 2 : place + 4], "big")
    return None


def plain_frame(data: bytes) -> Frame | None:
    """Returns the frame header of a JPEG which is upright, and whose header Pillow accepts; None if Pillow has to tell.

    Reading Exif and all the ways in which a header may be odd or damaged are left to Pillow, which takes longer.
    """
    place, frame = 2, None
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], data[place + 2] << 8 | data[place + 3]
        if marker == _START_OF_SCAN:
            return frame if 2 <= length <= len(data) - place - 2 else None
        if marker in _DECODED:
            found = Frame(marker, *struct.unpack_from(">BHHB", data, place + 4))
            if frame or length != 8 + 3 * found.num_components or not found.is_decoded():
                return None
            frame = found
        elif marker == _QUANTIZATION_TABLES:
            tables = data[place + 4 : place + 2 + length : _TABLE_BYTES]
            if length != 2 + _TABLE_BYTES * len(tables) or any(table > 15 for table in tables):  # 16-bit tables
                return None
        elif length < _SHORTEST.get(marker, 1 << 16):
            return None
        place += 2 + length
    return None
