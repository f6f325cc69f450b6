"""Resizing decoded images as the towers' authors did: TensorFlow's bytes, Pillow's bytes, or torch's floats."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import PIL.Image
from jaxtyping import Float32, UInt8

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
    if method != "bicubic":  # the others make no value that rounds to less than 0 or to 256
        return values.astype(np.uint8)
    return np.clip(values, 0, 255, out=np.empty(values.shape, np.uint8), casting="unsafe")


_PILLOW_FILTERS: Mapping[Method, PIL.Image.Resampling] = {
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


def resize_to_floats(
    image: UInt8[np.ndarray, "h w 3"], height: int, width: int, method: Method
) -> Float32[np.ndarray, "{height} {width} 3"]:
    """Returns the image resized and not rounded, within 0.003 of torchvision's antialiased resize of floats 0..255.

    torch has Pillow's filters, and computes their weights in float32, Pillow in float64; a bicubic filter overshoots,
    and neither cuts off what is below 0 or above 255.
    """
    resized = np.empty((height, width, 3), np.float32)
    for channel in range(3):  # one at a time, since floats take four times the memory
        whole = PIL.Image.fromarray(image[..., channel]).convert("F")
        with freeing(whole):
            resized[..., channel] = np.asarray(whole.resize((width, height), _PILLOW_FILTERS[method]))
    return resized
