"""Embedding images in a pipeline of one's own: a transform, and a model handler for Beam's RunInference.

    embedded = images | EmbedImages(ImageTowerOptions(name="google/vit-base-patch16-224"))
    embedded.embeddings, embedded.failures

Promises: an image that cannot be read or decoded is in `failures`, never an exception; batches have one shape, so that
the tower compiles once; the embeddings are those of `lit-embed` for the same tower and batch size.

Not here: files. What is made of embeddings is the pipeline's business.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, PredictionResult
from apache_beam.pvalue import PCollection, TaggedOutput

from lit_precompute.pipelines.embed.workers.process_registry import PROCESS
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.embedding import TowerUse, embed_examples
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.precompute.machine import Device, check_device
from lit_precompute.precompute.options import DecodingOptions, check_count, check_type
from lit_precompute.precompute.sources.files import read_image
from lit_precompute.precompute.sources.source import Example
from lit_precompute.schemas.storage import open_file
from lit_precompute.towers.loading import find_preprocessing
from lit_precompute.towers.options import ImageTowerOptions

FAILURES = "failures"
_preprocessing = functools.lru_cache(find_preprocessing)


class EmbedImages(beam.PTransform):
    """Takes (key, image) pairs; returns `embeddings`, (key, float32 [width]) pairs, and `failures`.

    An image is its encoded bytes, or a path or URL. A failure is a `Failure`: key, source, reason, message.
    """

    def __init__(
        self,
        tower: ImageTowerOptions,
        *,
        batch_size: int = 64,
        decoding: DecodingOptions | None = None,
        device: Device = "auto",
    ):
        """Takes what workers load.

        Args:
          tower: the image tower.
          batch_size: images per batch, over all of a worker's devices.
          decoding: how images are read and decoded.
          device: what embeds.

        Raises:
          TypeError: `tower` is a name, say.
          ValueError: the batch size is not positive.
        """
        super().__init__()
        check_type("tower", tower, ImageTowerOptions, "ImageTowerOptions(name='google/vit-base-patch16-224')")
        check_count("batch_size", batch_size)
        self._batch_size = batch_size
        self._embed = _EmbedBatch(tower, batch_size, decoding or DecodingOptions(), device)

    def expand(self, input_or_inputs: PCollection[tuple[str, bytes | str]]) -> Any:
        """Adds the transform."""
        size = self._batch_size
        batches = input_or_inputs | beam.BatchElements(min_batch_size=size, max_batch_size=size)
        return batches | "Embed" >> beam.ParDo(self._embed).with_outputs(FAILURES, main="embeddings")


class _EmbedBatch(beam.DoFn):
    """Embeds lists of (key, image) pairs."""

    def __init__(self, tower: ImageTowerOptions, batch_size: int, decoding: DecodingOptions, device: Device):
        self._tower, self._batch_size, self._decoding = tower, batch_size, decoding
        self._device: Device = device

    def setup(self) -> None:
        check_device(self._device)
        self._uses = [TowerUse(embedder=PROCESS.embedder(self._tower, self._batch_size))]
        self._preparer = PROCESS.preparer(self._uses, self._decoding)

    def process(self, element: Sequence[tuple[str, bytes | str]]) -> Iterator[Any]:
        examples = (_example(key, image) for key, image in element)
        for _, batch in embed_examples(examples, self._uses, self._preparer):
            for example, vector in zip(batch.examples, batch.vectors[0], strict=True):
                yield example.key, np.array(vector)
            for failure in batch.failures:
                yield TaggedOutput(FAILURES, failure)


def _example(key: str, image: bytes | str) -> Example:
    if isinstance(image, str):
        read, source = functools.partial(read_image, open_file, image), image
    else:
        read, source = functools.partial(_given, image), ""
    return Example(key=key, source=source, read_image=read, texts=(), label="")


def _given(image: bytes, max_bytes: int | None = None) -> bytes:
    del max_bytes  # it is in memory already
    return image


class JaxTowerHandler(ModelHandler[np.ndarray, PredictionResult, Embedder]):
    """An image tower for RunInference: elements are prepared images, [resolution, resolution, 3].

    `prepare` prepares one, of the preprocessing's `pixel_type`. `EmbedImages` also reads images, and lists those that
    cannot be read or decoded.
    """

    def __init__(self, tower: ImageTowerOptions, *, batch_size: int = 64, device: Device = "auto"):
        """Takes what workers load.

        Args:
          tower: the image tower.
          batch_size: images per batch.
          device: what embeds.
        """
        super().__init__()
        self._tower, self._batch_size = tower, batch_size
        self._device: Device = device

    def prepare(self, data: bytes) -> np.ndarray:
        """Returns an encoded image as the tower takes it; needs no weights.

        Raises:
          ImageError: it cannot be decoded.
        """
        return load(data, _preprocessing(self._tower))

    def load_model(self) -> Embedder:
        """Returns the tower on this worker's devices."""
        check_device(self._device)
        return PROCESS.embedder(self._tower, self._batch_size)

    def run_inference(
        self, batch: Sequence[np.ndarray], model: Embedder, inference_args: Mapping[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """Yields each image with its embedding, float32 [width].

        Raises:
          ValueError: there are inference arguments, which a tower does not take.
        """
        if inference_args:
            raise ValueError(f"a tower takes no inference arguments, got {sorted(inference_args)}")
        images = model.take_batch()
        images[: len(batch)] = np.stack(batch)
        vectors = np.asarray(model.start(images))[: len(batch)]
        for image, vector in zip(batch, vectors, strict=True):
            yield PredictionResult(image, np.array(vector), self._tower.name)
        model.give_back(images)

    def get_num_bytes(self, batch: Sequence[np.ndarray]) -> int:
        """Returns the bytes of a batch."""
        return sum(image.nbytes for image in batch)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Returns how elements are batched: the tower is compiled for one size."""
        return {"min_batch_size": self._batch_size, "max_batch_size": self._batch_size}

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of RunInference's metrics."""
        return "LitPrecompute"
