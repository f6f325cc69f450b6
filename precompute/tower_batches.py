"""Batches of one tower: prepared images in, embeddings and failures out.

Promises: rows keep their order; a batch has the tower's one shape, and each view of its images is a batch of the same
compiled function; a row of which any view cannot be prepared or stored is a `Failure`. A few batches are on the device
while the next is filled.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.ahead import Prepared
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.source import Example
from lit_precompute.precompute.timing import EmbedTimes
from lit_precompute.schemas.vectors import VectorType, storable, why_not_storable

_BATCHES_ON_DEVICE = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that could not be embedded: its key, its source, the reason in one word and in a sentence."""

    key: str
    source: str
    reason: str
    message: str


class EmbeddedBatch(NamedTuple):
    """Rows with their embeddings, and the failures among them and the rows before them.

    `vectors` is float32 [1 + views, n, width]: of the tower's own preprocessing first, then of each view.
    """

    examples: list[Example]
    vectors: np.ndarray
    failures: list[Failure]


class _PreparedBatch(NamedTuple):
    """Rows with their images, an array for each view, at the start of a batch, and the failures before them."""

    examples: list[Example]
    images: list[np.ndarray]
    failures: list[Failure]


class TowerBatches:
    """The rows of one unit on their way through a tower."""

    def __init__(self, embedder: Embedder, num_images: int, vector_type: VectorType, times: EmbedTimes):
        """Starts with no rows.

        Args:
          embedder: the tower.
          num_images: images of each row: one and the number of views.
          vector_type: the type that embeddings will be stored in.
          times: counts when the device is waited for, and when it is busy; it watches the device.
        """
        self._times = times
        self._embedder, self._num_images = embedder, num_images
        self._vector_type: VectorType = vector_type
        self._on_device: collections.deque[tuple[_PreparedBatch, list[jax.Array]]] = collections.deque()
        self._batch = self._new_batch()

    def add(self, example: Example, images: Sequence[Prepared]) -> Iterator[EmbeddedBatch]:
        """Adds a row; yields a batch if one is complete."""
        errors = (image for image in images if isinstance(image, ImageError))
        if error := next(errors, None):
            failure = Failure(key=example.key, source=example.source, reason=error.reason, message=str(error))
            self._batch.failures.append(failure)
            return
        place = len(self._batch.examples)
        for batch, image in zip(self._batch.images, images, strict=True):
            batch[place] = image
        self._batch.examples.append(example)
        if len(self._batch.examples) == self._embedder.batch_size:
            yield from self._start()

    def end(self) -> Iterator[EmbeddedBatch]:
        """Yields the batches that are not complete, or still on the device."""
        if self._batch.examples or self._batch.failures:
            for images in self._batch.images:
                images[len(self._batch.examples) :] = 0  # instead of another unit's images
            yield from self._start()
        for images in self._batch.images:
            self._embedder.give_back(images)
        while self._on_device:
            yield self._finish(*self._on_device.popleft())

    def _new_batch(self) -> _PreparedBatch:
        return _PreparedBatch([], [self._embedder.take_batch() for _ in range(self._num_images)], [])

    def _start(self) -> Iterator[EmbeddedBatch]:
        """Starts to embed the batch; yields one that is complete, if the device has enough to do."""
        num_rows, device = len(self._batch.examples), self._times.device
        with self._times.phases.during("waiting_for_device"):
            vectors = [device.start(num_rows, self._embedder.start, images) for images in self._batch.images]
        self._on_device.append((self._batch, vectors))
        complete = [self._finish(*self._on_device.popleft())] if len(self._on_device) > _BATCHES_ON_DEVICE else []
        self._batch = self._new_batch()
        yield from complete

    def _finish(self, batch: _PreparedBatch, vectors: Sequence[jax.Array]) -> EmbeddedBatch:
        with self._times.phases.during("waiting_for_device"):
            found = np.stack([np.asarray(each)[: len(batch.examples)] for each in vectors])
        for images in batch.images:
            self._embedder.give_back(images)
        fits = np.stack([storable(each, self._vector_type) for each in found])
        kept = np.logical_and.reduce(fits)
        if kept.all():
            return EmbeddedBatch(batch.examples, found, batch.failures)
        failures = [
            self._not_storable(example, found[:, row], fits[:, row])
            for row, example in enumerate(batch.examples)
            if not kept[row]
        ]
        return EmbeddedBatch(list(itertools.compress(batch.examples, kept)), found[:, kept], batch.failures + failures)

    def _not_storable(self, example: Example, vectors: np.ndarray, fits: np.ndarray) -> Failure:
        view = int(np.argmin(fits))
        which = f"the embedding of view {view}" if view else "the embedding"
        why = why_not_storable(vectors[view], self._vector_type)
        message = f"{which} cannot be stored: {why}"
        return Failure(key=example.key, source=example.source, reason="not-finite", message=message)
