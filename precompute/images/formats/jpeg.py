"""JPEG, decoded by TensorFlow: baseline, progressive and arithmetic, 8 bits, of one, three or four components."""

from __future__ import annotations

import functools
import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import JpegImagePlugin

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.formats.opened import OpenedImage, orientation_of
from lit_precompute.precompute.images.formats.rgb import upright
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.towers.preprocessing import JpegDecoding

# Frame markers of processes that are not decoded. Source: ITU-T T.81, table B.1; ITU-T T.87 for JPEG-LS.
_OTHER_PROCESSES = {
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


def open_jpeg(data: bytes) -> OpenedImage:
    """Returns a JPEG; its size and orientation are Pillow's, its pixels TensorFlow's."""
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    except SyntaxError:
        _refuse_other_processes(data)
        raise
    width, height = image.size
    decode = functools.partial(_decode, data, orientation_of(image))
    return OpenedImage(width=width, height=height, decode=decode)


def _decode(data: bytes, orientation: int, jpeg: JpegDecoding) -> np.ndarray:
    """Returns the pixels as TensorFlow decodes them: grey repeated, CMYK converted, Adobe's inversion applied."""
    tf = host_tensorflow()
    method = {"fast": "", "accurate": "INTEGER_ACCURATE"}[jpeg]
    try:
        pixels = tf.raw_ops.DecodeJpeg(contents=data, channels=3, dct_method=method).numpy()
    except tf.errors.InvalidArgumentError as error:
        _refuse_other_processes(data)
        # TensorFlow's message names its devices, not the fault of the image.
        raise ImageError("truncated", "JPEG is cut off or damaged") from error
    return upright(pixels, orientation)


def _refuse_other_processes(data: bytes) -> None:
    """Raises ImageError "unsupported" if a file that could not be decoded is a JPEG of another kind."""
    frame = find_frame(data)
    if frame is None:
        return
    kind = _OTHER_PROCESSES.get(frame.marker)
    if kind is None and frame.bits == 8 and frame.num_components in (1, 3, 4):
        return
    kind = kind or (f"{frame.bits}-bit" if frame.bits != 8 else f"of {frame.num_components} components")
    raise ImageError("unsupported", f"this kind of JPEG ({kind}) is not read; convert to baseline JPEG or PNG")


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
        if marker in _OTHER_PROCESSES or marker in _DECODED_FRAMES:
            return Frame(marker, *struct.unpack_from(">BHHB", view, place + 4))
        place += 2 + int.from_bytes(view[place + 2 : place + 4], "big")
    return None
