"""Embedding the rows of one unit, read and prepared ahead of the device.

Promises: rows keep their order; batches never cross units and have one shape, so that the tower compiles once and a
unit's embeddings depend on that unit alone; an image that cannot be read, and an embedding that the stored type cannot
hold, become a `Failure`, never an exception. The number of rows in flight bounds memory.
"""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import jax
import numpy as np

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.ahead import Outcome, Preparer, PreparingThreads
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.limits import MAX_PIXELS
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.reading import ReadImage
from lit_precompute.precompute.options import DecodeIn
from lit_precompute.precompute.sources.source import Example
from lit_precompute.precompute.timing import EmbedTimes
from lit_precompute.schemas.vectors import VectorType, storable, why_not_storable

# Batches whose images are being decoded while the device works, and batches on the device.
_BATCHES_AHEAD = 2
_BATCHES_ON_DEVICE = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that could not be embedded: its key, its source, the reason in one word and in a sentence."""

    key: str
    source: str
    reason: str
    message: str


class _PreparedBatch(NamedTuple):
    """Rows with their images at the start of a batch, and the failures among the rows before them."""

    examples: list[Example]
    images: np.ndarray
    failures: list[Failure]


class EmbeddedBatch(NamedTuple):
    """Rows with their embeddings, float32 [n, width], and the failures among them and the rows before them."""

    examples: list[Example]
    vectors: np.ndarray
    failures: list[Failure]


def where_to_decode(decode_in: DecodeIn) -> Literal["threads", "processes"]:
    """Returns the kind of workers that decode; "auto" is decided by this process's devices."""
    if decode_in == "auto":
        return "threads" if jax.default_backend() == "cpu" else "processes"
    return decode_in


def make_preparer(
    embedder: Embedder,
    *,
    decode_in: DecodeIn,
    num_workers: int,
    max_pixels: int = MAX_PIXELS,
    max_pixels_in_flight: int = MAX_PIXELS,
) -> Preparer:
    """Returns the workers that read and prepare an embedder's images.

    Args:
      embedder: the tower, and its batch size.
      decode_in: the kind of workers; "auto" means threads for a tower on CPUs, which needs the cores itself, and
        processes for an accelerator.
      num_workers: number of threads or processes.
      max_pixels: largest image that is decoded.
      max_pixels_in_flight: pixels that all of the workers together may be decoding.
    """
    kind = {"threads": PreparingThreads, "processes": PreparingProcesses}[where_to_decode(decode_in)]
    ahead = _BATCHES_AHEAD * embedder.batch_size
    return kind(
        embedder.tower.preprocessing,
        num_workers=num_workers,
        ahead=ahead,
        max_pixels=max_pixels,
        max_pixels_in_flight=max_pixels_in_flight,
    )


def embed_examples(
    examples: Iterable[Example],
    embedder: Embedder,
    preparer: Preparer,
    vector_type: VectorType = "float32",
    times: EmbedTimes | None = None,
) -> Iterator[EmbeddedBatch]:
    """Yields batches of up to `batch_size` rows, in order.

    Args:
      examples: rows of one unit.
      embedder: the tower.
      preparer: reads and prepares its images.
      vector_type: the type that embeddings will be stored in; one that it cannot hold is a failure.
      times: counts where the time goes.
    """
    times = times or EmbedTimes()
    on_device: collections.deque[tuple[_PreparedBatch, jax.Array]] = collections.deque()
    with times.device.watching() as start:
        for batch in _batches(_prepared(examples, preparer, times), embedder):
            with times.phases.during("waiting_for_device"):
                vectors = start(len(batch.examples), functools.partial(embedder.start, batch.images))
            on_device.append((batch, vectors))
            if len(on_device) > _BATCHES_ON_DEVICE:
                yield _finish(embedder, *on_device.popleft(), vector_type, times)
        while on_device:
            yield _finish(embedder, *on_device.popleft(), vector_type, times)


def _finish(
    embedder: Embedder, batch: _PreparedBatch, vectors: jax.Array, vector_type: VectorType, times: EmbedTimes
) -> EmbeddedBatch:
    with times.phases.during("waiting_for_device"):
        found = np.asarray(vectors)[: len(batch.examples)]
    embedder.give_back(batch.images)
    fits = storable(found, vector_type)
    if fits.all():
        return EmbeddedBatch(batch.examples, found, batch.failures)
    failures = [
        Failure(
            key=example.key,
            source=example.source,
            reason="not-finite",
            message=f"the embedding cannot be stored: {why_not_storable(vector, vector_type)}",
        )
        for example, vector in zip(itertools.compress(batch.examples, ~fits), found[~fits], strict=True)
    ]
    return EmbeddedBatch(list(itertools.compress(batch.examples, fits)), found[fits], batch.failures + failures)


def _prepared(examples: Iterable[Example], preparer: Preparer, times: EmbedTimes) -> Iterator[tuple[Example, Outcome]]:
    """Yields each row with its prepared image or the error that explains why there is none."""
    waiting: collections.deque[Example] = collections.deque()

    def reads() -> Iterator[ReadImage]:
        for example in times.phases.each("reading_rows", examples):
            waiting.append(example)
            yield example.read_image

    for outcome in times.phases.each("waiting_for_images", preparer.prepare(reads(), times.decoders)):
        yield waiting.popleft(), outcome


def _batches(prepared: Iterable[tuple[Example, Outcome]], embedder: Embedder) -> Iterator[_PreparedBatch]:
    batch = _PreparedBatch([], embedder.take_batch(), [])
    for example, outcome in prepared:
        if isinstance(outcome, ImageError):
            failure = Failure(key=example.key, source=example.source, reason=outcome.reason, message=str(outcome))
            batch.failures.append(failure)
            continue
        batch.images[len(batch.examples)] = outcome
        batch.examples.append(example)
        if len(batch.examples) == embedder.batch_size:
            yield batch
            batch = _PreparedBatch([], embedder.take_batch(), [])
    if batch.examples or batch.failures:
        batch.images[len(batch.examples) :] = 0  # instead of another unit's images
        yield batch
