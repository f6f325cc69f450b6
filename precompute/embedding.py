"""Embedding the rows of one unit, read and prepared ahead of the device, with one tower or several.

Promises: rows keep their order; batches never cross units and have one shape, so that each tower compiles once and a
unit's embeddings depend on that unit and tower alone, whichever other towers embed it as well; an image that cannot be
read, and an embedding that the stored type cannot hold, become a `Failure`, never an exception. The number of rows in
flight bounds memory.
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import jax

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.ahead import Outcome, Preparer, PreparingThreads
from lit_precompute.precompute.images.limits import MAX_PIXELS, TIMEOUT_S
from lit_precompute.precompute.images.processes import PreparingProcesses
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.options import DecodeIn
from lit_precompute.precompute.sources.source import Example
from lit_precompute.precompute.timing import EmbedTimes
from lit_precompute.precompute.tower_batches import EmbeddedBatch, TowerBatches
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.towers.preprocessing import SIGNED_RANGE, Preprocessing

# Batches whose images are being decoded while the device works.
_BATCHES_AHEAD = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerUse:
    """A tower, and what it embeds of each image.

    Attributes:
      embedder: the tower on the devices, and its batch size.
      num_views: random views of each image, beside the tower's own preprocessing.
      vector_type: the type that embeddings will be stored in; one that it cannot hold is a failure.
    """

    embedder: Embedder
    num_views: int = 0
    vector_type: VectorType = "float32"

    def preprocessings(self) -> list[Preprocessing]:
        """Returns how each image is prepared: the tower's own preprocessing, then the views."""
        own = self.embedder.tower.preprocessing
        return [own, *(own.of_view(number) for number in range(1, self.num_views + 1))]


def where_to_decode(decode_in: DecodeIn) -> Literal["threads", "processes"]:
    """Returns the kind of workers that decode; "auto" is decided by this process's devices."""
    if decode_in == "auto":
        return "threads" if jax.default_backend() == "cpu" else "processes"
    return decode_in


def make_preparer(
    uses: Sequence[TowerUse],
    *,
    decode_in: DecodeIn,
    num_workers: int,
    max_pixels: int = MAX_PIXELS,
    max_pixels_in_flight: int = MAX_PIXELS,
    timeout_s: float = TIMEOUT_S,
) -> Preparer:
    """Returns the workers that read images and prepare them for some towers, in each distinct way once.

    Args:
      uses: the towers, and what they embed.
      decode_in: the kind of workers; "auto" means threads for towers on CPUs, which need the cores themselves, and
        processes for an accelerator.
      num_workers: number of threads or processes.
      max_pixels: largest image that is decoded.
      max_pixels_in_flight: pixels that all of the workers together may be decoding.
      timeout_s: how long one image may take to be read, or to be decoded.
    """
    kind = {"threads": PreparingThreads, "processes": PreparingProcesses}[where_to_decode(decode_in)]
    return kind(
        list(dict.fromkeys(_on_host(each) for use in uses for each in use.preprocessings())),
        num_workers=num_workers,
        ahead=_BATCHES_AHEAD * max(use.embedder.batch_size for use in uses),
        max_pixels=max_pixels,
        max_pixels_in_flight=max_pixels_in_flight,
        timeout_s=timeout_s,
    )


def embed_examples(
    examples: Iterable[Example], uses: Sequence[TowerUse], preparer: Preparer, times: EmbedTimes | None = None
) -> Iterator[tuple[int, EmbeddedBatch]]:
    """Yields batches of up to `batch_size` rows, each with the number of its tower; those of a tower are in order.

    Args:
      examples: rows of one unit.
      uses: towers, some or all of those that the preparer was made for.
      preparer: reads and prepares the images.
      times: counts where the time goes.
    """
    times = times or EmbedTimes()
    batches = [TowerBatches(use.embedder, 1 + use.num_views, use.vector_type, times) for use in uses]
    places = [[preparer.preprocessings.index(_on_host(each)) for each in use.preprocessings()] for use in uses]
    with times.device.watching():
        for example, outcome in _prepared(examples, preparer, times):
            for number, (tower, own) in enumerate(zip(batches, places, strict=True)):
                for batch in tower.add(example, [outcome[place] for place in own]):
                    yield number, batch
        for number, tower in enumerate(batches):
            for batch in tower.end():
                yield number, batch


def _on_host(preprocessing: Preprocessing) -> Preprocessing:
    """Returns the part of a preprocessing that gives pixels: the value range is computed on the device."""
    return dataclasses.replace(preprocessing, value_range=SIGNED_RANGE)


def _prepared(examples: Iterable[Example], preparer: Preparer, times: EmbedTimes) -> Iterator[tuple[Example, Outcome]]:
    """Yields each row, without its encoded image, with what the image was prepared to."""
    waiting: collections.deque[Example] = collections.deque()

    def reads() -> Iterator[KeyedRead]:
        for example in times.phases.each("reading_rows", examples):
            # Rows wait for their batch, and some sources' reads hold the encoded image.
            waiting.append(example.without_image())
            yield KeyedRead(example.key, example.read_image)

    for outcome in times.phases.each("waiting_for_images", preparer.prepare(reads(), times.decoders)):
        yield waiting.popleft(), outcome
