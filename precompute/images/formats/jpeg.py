"""JPEG as TensorFlow decodes it: baseline, progressive and arithmetic, 8 bits, of one, three or four components."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import JpegImagePlugin

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.formats.frame import OTHER_PROCESSES, Frame, find_frame, plain_frame
from lit_precompute.precompute.images.formats.opened import OpenedImage, orientation_of
from lit_precompute.precompute.images.formats.rgb import UPRIGHT, upright
from lit_precompute.precompute.images.formats.turbojpeg import decode_intact
from lit_precompute.precompute.images.libraries import PILLOW_WARNINGS_IGNORED, host_tensorflow
from lit_precompute.towers.preprocessing import JpegDecoding


def open_jpeg(data: bytes) -> OpenedImage:
    """Returns a JPEG; its size and orientation are Pillow's, its pixels those of TensorFlow."""
    if frame := plain_frame(data):
        width, height, orientation = frame.width, frame.height, UPRIGHT
    else:
        frame = find_frame(data)
        width, height, orientation = _opened_with_pillow(data)
    decode = functools.partial(_decode, data, frame, orientation)
    return OpenedImage(width=width, height=height, decode=decode)


def _opened_with_pillow(data: bytes) -> tuple[int, int, int]:
    """Returns width, height and orientation."""
    with PILLOW_WARNINGS_IGNORED:
        try:
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        except SyntaxError:
            _refuse_other_processes(data)
            raise
        return *image.size, orientation_of(image)


def _decode(data: bytes, frame: Frame | None, orientation: int, jpeg: JpegDecoding) -> np.ndarray:
    """Returns the pixels as TensorFlow decodes them: grey repeated, CMYK converted, Adobe's inversion applied."""
    pixels = decode_intact(data, frame, jpeg)
    return upright(_by_tensorflow(data, jpeg) if pixels is None else pixels, orientation)


def _by_tensorflow(data: bytes, jpeg: JpegDecoding) -> np.ndarray:
    tf = host_tensorflow()
    method = {"fast": "", "accurate": "INTEGER_ACCURATE"}[jpeg]
    try:
        return tf.raw_ops.DecodeJpeg(contents=data, channels=3, dct_method=method).numpy()
    except tf.errors.InvalidArgumentError as error:
        _refuse_other_processes(data)
        # TensorFlow's message names its devices, not the fault of the image.
        raise ImageError("truncated", "JPEG is cut off or damaged") from error


def _refuse_other_processes(data: bytes) -> None:
    """Raises ImageError "unsupported" if a file that could not be decoded is a JPEG of another kind."""
    frame = find_frame(data)
    if frame is None:
        return
    kind = OTHER_PROCESSES.get(frame.marker)
    if kind is None and frame.bits == 8 and frame.num_components in (1, 3, 4):
        return
    kind = kind or (f"{frame.bits}-bit" if frame.bits != 8 else f"of {frame.num_components} components")
    raise ImageError("unsupported", f"this kind of JPEG ({kind}) is not read; convert to baseline JPEG or PNG")
