"""Options of stage 1's own parts; needs no JAX."""

import dataclasses
import numbers
import os
from typing import Literal

from lit_precompute.precompute.images.limits import MAX_PIXELS, MAX_SIDE, TIMEOUT_S

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
      timeout_per_image: Seconds that an image may take to be read, or to be decoded; one that takes longer is a failure
        (`too-slow`).
    """

    decode_in: DecodeIn = "auto"
    decode_workers: int | None = None
    max_pixels: int = MAX_PIXELS
    max_pixels_in_flight: int = MAX_PIXELS
    timeout_per_image: float = TIMEOUT_S

    def __post_init__(self):
        check_count("--decode-workers", self.decode_workers)
        check_count("--max-pixels", self.max_pixels, most=MAX_SIDE**2)
        check_count("--max-pixels-in-flight", self.max_pixels_in_flight, most=MAX_SIDE**2)
        if not 0 < self.timeout_per_image < float("inf"):
            raise ValueError(f"--timeout-per-image must be a number of seconds above 0, got {self.timeout_per_image}")

    def count_workers(self) -> int:
        """Returns the number of threads or processes on this machine."""
        if self.decode_workers:
            return self.decode_workers
        # Those that this process may use: schedulers and `taskset` give it some of the machine's.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return max(2, cores or 2)


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
