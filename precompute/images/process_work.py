"""What a process of `processes` does: it prepares a chunk of reads, and writes the images to their slots.

Not here: which reads, and which slots (`processes`).
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lit_precompute.precompute.images.ahead import Outcome, SlottedRead, timed_threads
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.precompute.images.limits import PixelsInFlight
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.images.spent import DecoderTotals, Spent
from lit_precompute.precompute.images.timed_threads import TimedThreads
from lit_precompute.schemas.storage import num_retried
from lit_precompute.towers.preprocessing import Preprocessing

# For each read, and each preprocessing, why there is no image; None if there is one.
Errors = list[list[ImageError | None]]


class Outcomes(NamedTuple):
    """What a process returns for a chunk: errors, how many reads were tried again, and what it has spent on them."""

    errors: Errors
    num_retried: int
    spent: DecoderTotals


def image_bytes(preprocessing: Preprocessing) -> int:
    """Returns the bytes that a prepared image takes in a slot."""
    return 3 * preprocessing.size**2 * preprocessing.pixel_type.itemsize


def images_in(memory: Any, preprocessings: Sequence[Preprocessing]) -> list[np.ndarray]:
    """Returns for each preprocessing the part of the memory with its images, [slots, size, size, 3].

    The number of slots must be a multiple of four, so that floats are aligned.
    """
    sizes = [*map(image_bytes, preprocessings)]
    num_slots = len(memory) // sum(sizes)
    ends = np.cumsum([num_slots * size for size in sizes])
    parts = np.split(np.frombuffer(memory, np.uint8), ends[:-1])
    return [
        part.view(each.pixel_type).reshape(-1, each.size, each.size, 3)
        for part, each in zip(parts, preprocessings, strict=True)
    ]


_images: list[np.ndarray]
_threads: TimedThreads[SlottedRead, Outcome]


def begin(
    memory: Any,
    preprocessings: Sequence[Preprocessing],
    chunk: int,
    max_pixels: int,
    timeout_s: float,
    in_flight: PixelsInFlight,
) -> None:
    """Initialises a process of the pool."""
    global _images, _threads  # noqa: PLW0603 -- how a pool passes state to its processes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _images = images_in(memory, preprocessings)
    # One thread is at work at a time; others would be those that are stuck.
    _threads = timed_threads(
        preprocessings,
        num_threads=1,
        ahead=2 * chunk,  # of which a half is waited for at once
        max_pixels=max_pixels,
        in_flight=in_flight,
        timeout_s=timeout_s,
        keep=_keep,
    )
    threads = host_tensorflow().config.threading
    threads.set_intra_op_parallelism_threads(1)  # else as many in each process as there are cores
    threads.set_inter_op_parallelism_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def prepare_chunk(reads: list[KeyedRead], slots: list[int]) -> Outcomes:
    """Prepares a chunk of reads, and writes the images to their slots."""
    num_retried_before, spent = num_retried(), Spent()
    outcomes = _threads.map(SlottedRead(read, spent, slot) for read, slot in zip(reads, slots, strict=True))
    errors = [[image if isinstance(image, ImageError) else None for image in outcome] for outcome in outcomes]
    return Outcomes(errors, num_retried() - num_retried_before, spent.totals)


def _keep(outcome: Outcome, slot: int) -> Outcome:
    """Writes the images of an outcome to their slot: at once, since each image is as large as a processor's cache."""
    kept = list(outcome)
    for place, (images, image) in enumerate(zip(_images, outcome, strict=True)):
        if not isinstance(image, ImageError):
            images[slot] = image
            kept[place] = images[slot]
    return kept
