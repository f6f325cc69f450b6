"""Resizing decoded images, byte for byte as the towers' authors did: with TensorFlow's kernels or Pillow's."""

from __future__ import annotations

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from lit_precompute.precompute.images.libraries import freeing, host_tensorflow
from lit_precompute.towers.preprocessing import Method

# tf.image.resize's names for the filters of its antialiasing kernel.
_ANTIALIAS_FILTERS = {"bilinear": "triangle", "bicubic": "keyscubic"}


def resize(
    image: UInt8[np.ndarray, "h w 3"], height: int, width: int, *, method: Method, antialias: bool
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Returns the image resized, byte for byte like big_vision's resize of uint8.

    The kernels behind tf.image.resize are called directly, because the work around them costs more than they do. They
    release the interpreter lock.
    """
    if image.shape[:2] == (height, width):
        return image
    kernels = host_tensorflow().raw_ops
    images, size = image[None], np.array([height, width], np.int32)
    if antialias:
        resized = kernels.ScaleAndTranslate(
            images=images,
            size=size,
            scale=size.astype(np.float32) / np.array(image.shape[:2], np.float32),
            translation=np.zeros(2, np.float32),
            kernel_type=_ANTIALIAS_FILTERS[method],
            antialias=True,
        )
    elif method == "area":
        resized = kernels.ResizeArea(images=images, size=size)
    else:
        kernel = kernels.ResizeBilinear if method == "bilinear" else kernels.ResizeBicubic
        resized = kernel(images=images, size=size, half_pixel_centers=True)
    values = np.asarray(memoryview(resized))[0]  # without a copy
    # Truncates: big_vision casts to uint8 without rounding, and the towers were trained on that.
    return np.clip(values, 0, 255, out=np.empty(values.shape, np.uint8), casting="unsafe")


_PILLOW_FILTERS = {
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "area": PIL.Image.Resampling.BOX,
}


def resize_with_pillow(
    image: UInt8[np.ndarray, "h w 3"], height: int, width: int, method: Method
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Returns the image resized, byte for byte like torchvision's resize of a PIL image."""
    whole = PIL.Image.fromarray(image)
    with freeing(whole):
        return np.asarray(whole.resize((width, height), _PILLOW_FILTERS[method]))
