"""Options of stage 1's own parts; needs no JAX."""

import dataclasses
import os
from typing import Literal

DecodeIn = Literal["auto", "threads", "processes"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """What reads and decodes ahead of the device.

    Attributes:
      decode_in: What reads and decodes ahead of the device: `auto` takes processes beside an accelerator, else threads.
      decode_workers: How many of these; by default as many as there are cores.
    """

    decode_in: DecodeIn = "auto"
    decode_workers: int | None = None

    def __post_init__(self):
        if self.decode_workers is not None and self.decode_workers < 1:
            raise ValueError(f"decode_workers must be >= 1, got {self.decode_workers}")

    def count_workers(self) -> int:
        """Returns the number of threads or processes on this machine."""
        return self.decode_workers or max(2, os.cpu_count() or 2)
