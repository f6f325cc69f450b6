"""Options of stage 1's own parts; needs no JAX."""

import dataclasses
import numbers
import os
from typing import Literal

from lit_precompute.precompute.images.limits import MAX_PIXELS, MAX_SIDE

_MOST = 2**31 - 1
DecodeIn = Literal["auto", "threads", "processes"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """What reads and decodes ahead of the device.

    Attributes:
      decode_in: What reads and decodes ahead of the device: `auto` takes processes beside an accelerator, else threads.
      decode_workers: How many of these; by default as many as there are cores.
      max_pixels: Largest image that is decoded, in pixels; a larger one is a failure (`too-large`).
      max_pixels_in_flight: Pixels that all threads or processes together may be decoding, at 7 to 12 bytes each; a
        larger image is decoded alone.
    """

    decode_in: DecodeIn = "auto"
    decode_workers: int | None = None
    max_pixels: int = MAX_PIXELS
    max_pixels_in_flight: int = MAX_PIXELS

    def __post_init__(self):
        check_count("--decode-workers", self.decode_workers)
        check_count("--max-pixels", self.max_pixels, most=MAX_SIDE**2)
        check_count("--max-pixels-in-flight", self.max_pixels_in_flight, most=MAX_SIDE**2)

    def count_workers(self) -> int:
        """Returns the number of threads or processes on this machine."""
        return self.decode_workers or max(2, os.cpu_count() or 2)


def check_type(name: str, value: object, kind: type, example: str) -> None:
    """Raises TypeError unless an option is of a type; a program may give a string, where commands make the type."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}, such as {example}, got {value!r}")


def check_count(flag: str, value: int | None, *, most: int = _MOST) -> None:
    """Raises ValueError unless an option is None or in [1, `most`]; it is named by its flag."""
    if value is not None and not isinstance(value, numbers.Integral):
        raise TypeError(f"{flag} must be a whole number, got {value!r}")
    if value is not None and value < 1:
        raise ValueError(f"{flag} must be >= 1, got {value}")
    if value is not None and value > most:
        raise ValueError(f"{flag} must be at most {most}, got {value}")
