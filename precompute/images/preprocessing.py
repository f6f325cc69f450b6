"""Preprocessing, executed: from a decoded image to a tower's input, as `towers.preprocessing` declares it.

Promises: where TensorFlow resizes, `prepare` (host) and `normalise` (device) equal big_vision's `resize`,
`resize_small`, `central_crop`, `value_range` and `vgg_value_range` byte for byte, because the host part calls the same
TensorFlow kernels and the device part looks up the 256 possible values in a table that NumPy computed in float32. Where
Pillow resizes, they equal Pillow's bytes and the same table. Where a resize keeps fractions ("torch"), pixels are
float32, within 1e-5 of the range from torchvision's.

Not here: bytes to pixels (`decoding`), and what is drawn of a random view (`augmenting`).

Source: github.com/google-research/big_vision, big_vision/pp/ops_image.py and ops_general.py (2024).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Num, UInt8

from lit_precompute.precompute.images.augmenting import draw_view
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.limits import MAX_PIXELS
from lit_precompute.precompute.images.resizing import resize, resize_to_floats, resize_with_pillow
from lit_precompute.towers.preprocessing import Preprocessing

# A strip one pixel high, scaled to a short side of 256, would grow 65,536 times: it is refused first.
MAX_RESIZED_PIXELS = 1 << 26


def load(
    data: bytes, preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS
) -> Num[np.ndarray, "{preprocessing.size} {preprocessing.size} 3"]:
    """Returns an encoded image decoded and prepared. Safe to call from several threads.

    Raises:
      ImageError: the bytes are not an image that can be used; its `reason` says why.
    """
    return prepare(decode(data, max_pixels=max_pixels, jpeg=preprocessing.jpeg), preprocessing)


def prepare(
    image: UInt8[np.ndarray, "h w 3"], preprocessing: Preprocessing, key: str = ""
) -> Num[np.ndarray, "{preprocessing.size} {preprocessing.size} 3"]:
    """Returns a decoded image resized and cropped, of type `preprocessing.pixel_type`.

    A random view is cropped, resized and flipped.

    Args:
      image: the decoded image.
      preprocessing: what the tower expects.
      key: of the row, which determines its random views.

    Raises:
      ImageError: "too-large", the image is so narrow that keeping its aspect ratio would need over 2**26 pixels.
    """
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, (image.dtype, image.shape)
    if preprocessing.augmentation is None:
        return _resize_and_crop(image, preprocessing)
    view = draw_view(key, image.shape[0], image.shape[1], preprocessing.augmentation)
    part = image[view.top : view.top + view.height, view.left : view.left + view.width]
    resized = _resize_and_crop(part, preprocessing)
    return np.ascontiguousarray(resized[:, ::-1] if view.is_flipped else resized)


def _resize_and_crop(image: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    height, width = _resized_shape(image.shape[0], image.shape[1], preprocessing)
    num_made = largest_array(image.shape[0], image.shape[1], preprocessing)
    if num_made > MAX_RESIZED_PIXELS:
        raise ImageError(
            "too-large",
            f"{image.shape[1]} x {image.shape[0]} pixels resized to {width} x {height} need {num_made:,} pixels on the "
            f"way; at most {MAX_RESIZED_PIXELS:,} are made",
        )
    if preprocessing.resampler == "torch":
        resized = resize_to_floats(image, height, width, preprocessing.method)
    elif preprocessing.resampler == "pillow":
        resized = resize_with_pillow(image, height, width, preprocessing.method)
    else:
        resized = resize(image, height, width, method=preprocessing.method, antialias=preprocessing.antialias)
    if preprocessing.crop == "none":
        return resized
    size = preprocessing.size
    top, left = (_offset(length - size, preprocessing) for length in (height, width))
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def _offset(margin: int, preprocessing: Preprocessing) -> int:
    """Returns where a crop begins, of this many rows or columns that it leaves out."""
    return round(margin / 2) if preprocessing.crop == "central_rounded" else margin // 2


def _resized_shape(height: int, width: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Returns (height, width) after the resize; TensorFlow's in the float32 arithmetic of big_vision's resize_small."""
    side = preprocessing.resize_size
    assert side is not None
    if preprocessing.resize == "square":
        return side, side
    if preprocessing.resampler != "tensorflow":
        # torchvision and Hugging Face: the long side in integers, rounded down.
        short = min(height, width)
        return side * height // short, side * width // short
    factor = np.float32(side) / np.float32(min(height, width))
    return int(np.rint(np.float32(height) * factor)), int(np.rint(np.float32(width) * factor))


def largest_array(height: int, width: int, preprocessing: Preprocessing) -> int:
    """Returns the pixels of the largest array that a resize makes: its result, or what lies between its two passes."""
    new_height, new_width = _resized_shape(height, width, preprocessing)
    if preprocessing.resampler != "tensorflow":
        return max(new_height, height) * new_width
    return new_height * (max(new_width, width) if preprocessing.antialias else new_width)


def normalise(preprocessing: Preprocessing, images: Num[Array, "n h w 3"]) -> Float32[Array, "n h w 3"]:
    """Returns images of type `preprocessing.pixel_type` in the tower's value range; for use inside `jax.jit`.

    Of uint8 by a table look-up, because arithmetic would not be exact: XLA multiplies by 1/255 where TensorFlow divides
    by 255, and fuses the multiply with the add, which changes the last bit of most values.
    """
    if preprocessing.pixel_type != np.uint8:
        return preprocessing.value_range.of(images)
    table = preprocessing.value_range.table()
    # uint8 cannot exceed the table: no bounds are checked.
    look_up = lambda values, channel: jnp.asarray(table[:, channel]).at[values].get(mode="promise_in_bounds")  # noqa: E731
    if table.shape[1] == 1:
        return look_up(images, 0)
    return jnp.stack([look_up(images[..., channel], channel) for channel in range(3)], axis=-1)
