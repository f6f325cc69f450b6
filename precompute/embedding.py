"""Embedding the rows of one unit: read, decode and prepare in threads, ahead of the device.

Promises: rows keep their order; batches never cross units and all have one shape, so that the tower compiles once and
a unit's vectors depend on that unit alone; a picture that cannot be read becomes a `Failure`, never an exception.
Memory is bounded by the rows in flight.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from precompute.embedder import Embedder
from precompute.pictures.decoding import PictureError
from precompute.pictures.preprocessing import load
from precompute.sources.source import Example

# Batches whose pictures are being decoded while the device works, and batches on the device.
_BATCHES_AHEAD = 2
_BATCHES_ON_DEVICE = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that could not be embedded: which, where from, why in one word, and why in a sentence."""

    key: str
    source: str
    reason: str
    message: str


class EmbeddedBatch(NamedTuple):
    """Rows with their vectors, float32 [n, D], and the failures met on the way to them."""

    examples: list[Example]
    vectors: np.ndarray
    failures: list[Failure]


def embed_examples(
    examples: Iterable[Example], embedder: Embedder, *, decode_threads: int, max_pixels: int | None = None
) -> Iterator[EmbeddedBatch]:
    """Yields batches of up to `batch_size` rows, in order.

    Args:
      examples: rows of one unit.
      embedder: the tower.
      decode_threads: threads that read and decode.
      max_pixels: largest picture that is decoded; None for the decoder's own limit.
    """
    on_device: collections.deque[tuple[list[Example], jax.Array | np.ndarray, list[Failure]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(decode_threads, "decode") as pool:
        for rows, images, failures in _batches(_prepared(examples, embedder, pool, max_pixels), embedder.batch_size):
            on_device.append((rows, embedder.start(images), failures))
            if len(on_device) > _BATCHES_ON_DEVICE:
                yield _finish(*on_device.popleft())
        while on_device:
            yield _finish(*on_device.popleft())


def _finish(rows: list[Example], vectors: jax.Array | np.ndarray, failures: list[Failure]) -> EmbeddedBatch:
    return EmbeddedBatch(rows, np.asarray(vectors)[: len(rows)], failures)


def _prepared(
    examples: Iterable[Example],
    embedder: Embedder,
    pool: concurrent.futures.Executor,
    max_pixels: int | None,
) -> Iterator[tuple[Example, np.ndarray | Failure]]:
    """Yields each row with its prepared picture or its failure, in order, a bounded number ahead."""
    limits = {} if max_pixels is None else {"max_pixels": max_pixels}

    def prepare(example: Example) -> np.ndarray | Failure:
        try:
            return load(example.read_image(), embedder.tower.preprocessing, **limits)
        except PictureError as error:
            return Failure(key=example.key, source=example.source, reason=error.reason, message=str(error))

    waiting: collections.deque[tuple[Example, concurrent.futures.Future[np.ndarray | Failure]]] = collections.deque()
    remaining = iter(examples)
    try:
        for example in itertools.islice(remaining, _BATCHES_AHEAD * embedder.batch_size):
            waiting.append((example, pool.submit(prepare, example)))
        while waiting:
            example, future = waiting.popleft()
            for following in itertools.islice(remaining, 1):
                waiting.append((following, pool.submit(prepare, following)))
            yield example, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _batches(
    prepared: Iterable[tuple[Example, np.ndarray | Failure]], batch_size: int
) -> Iterator[tuple[list[Example], list[np.ndarray], list[Failure]]]:
    rows: list[Example] = []
    images: list[np.ndarray] = []
    failures: list[Failure] = []
    for example, outcome in prepared:
        if isinstance(outcome, Failure):
            failures.append(outcome)
            continue
        rows.append(example)
        images.append(outcome)
        if len(rows) == batch_size:
            yield rows, images, failures
            rows, images, failures = [], [], []
    if rows or failures:
        yield rows, images, failures
