"""Loss and gradients of a batch whose activations need not fit in memory: micro-batches with cached embeddings.

Promises: exactly the gradients of the whole batch, at any `micro_batch_size`, for any loss. Each side runs over
micro-batches and only the embeddings are kept; the loss gives their gradients; a trained side then runs again, one
micro-batch at a time, to propagate them. So only one micro-batch's activations are in memory, and compute alone bounds
the batch size. A batch of one micro-batch runs each side once.

Source: arXiv:2101.06983 (GradCache).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from lit_precompute.tune.losses.loss import ONE_EACH, Loss, Pairs
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model.sides import TrainedParameters

Parameters = Any
Inputs = Any  # arrays, or trees of arrays, whose first axis is the batch
Encoder = Callable[[Parameters, Inputs], Float[Array, "n d"]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedGradient:
    """A function of (parameters, images, texts) that can be jitted.

    Attributes:
      encode_image: embeddings from `parameters.image` and the images' inputs, not normalised.
      encode_text: embeddings from `parameters.text` and tokens, not normalised.
      loss: the loss, over unit-norm embeddings.
      micro_batch_size: pairs whose activations are in memory at once.
    """

    encode_image: Encoder
    encode_text: Encoder
    loss: Loss
    micro_batch_size: int

    def __call__(
        self, parameters: TrainedParameters, images: Inputs, texts: Inputs, pairs: Pairs = ONE_EACH
    ) -> tuple[Float32[Array, ""], TrainedParameters]:
        """Returns (loss, gradients); a side without parameters has no gradients and runs once.

        Args:
          parameters: what is trained.
          images: inputs of n images.
          texts: inputs of their texts, equally many for each.
          pairs: which text belongs to which image.
        """
        if _num_rows(texts) <= self.micro_batch_size:
            return jax.value_and_grad(self._whole)(parameters, images, texts, pairs)
        image_embeddings = self._encode(self.encode_image, parameters.image, images)
        text_embeddings = self._encode(self.encode_text, parameters.text, texts)
        value_and_gradients = jax.value_and_grad(self._loss_of_embeddings, argnums=(0, 1, 2))
        loss, (of_loss, of_images, of_texts) = value_and_gradients(
            parameters.loss, image_embeddings, text_embeddings, pairs
        )
        return loss, TrainedParameters(
            image=self._gradients(self.encode_image, parameters.image, images, of_images),
            loss=of_loss,
            text=self._gradients(self.encode_text, parameters.text, texts, of_texts),
        )

    def _whole(self, parameters: TrainedParameters, images: Inputs, texts: Inputs, pairs: Pairs) -> jax.Array:
        image_embeddings = self.encode_image(parameters.image, images)
        text_embeddings = self.encode_text(parameters.text, texts)
        return self._loss_of_embeddings(parameters.loss, image_embeddings, text_embeddings, pairs)

    def _loss_of_embeddings(
        self, parameters: Parameters, images: jax.Array, texts: jax.Array, pairs: Pairs
    ) -> jax.Array:
        return self.loss.value(parameters, unit_rows(images), unit_rows(texts), pairs)

    def _split(self, rows: Inputs) -> tuple[Inputs, Inputs, int]:
        """Returns full micro-batches [k, m, ...], the rest, and the number of rows in the rest."""
        size, rest = self.micro_batch_size, _num_rows(rows) % self.micro_batch_size
        cut = _num_rows(rows) - rest
        whole = jax.tree.map(lambda leaf: leaf[:cut].reshape(-1, size, *leaf.shape[1:]), rows)
        return whole, jax.tree.map(lambda leaf: leaf[cut:], rows), rest

    def _encode(self, encode: Encoder, parameters: Parameters, inputs: Inputs) -> jax.Array:
        whole, rest, num_rest = self._split(inputs)
        encoded = jax.lax.map(lambda micro_batch: encode(parameters, micro_batch), whole)
        pieces = [encoded.reshape(-1, encoded.shape[-1])]
        if num_rest:
            pieces.append(encode(parameters, rest))
        return jnp.concatenate(pieces)

    def _gradients(
        self, encode: Encoder, parameters: Parameters, inputs: Inputs, of_embeddings: jax.Array
    ) -> Parameters:
        if not parameters:
            return parameters

        def add(total: Parameters, micro_batch: tuple[Inputs, jax.Array]):
            _, pull_back = jax.vjp(lambda p: encode(p, micro_batch[0]), parameters)
            return jax.tree.map(jnp.add, total, pull_back(micro_batch[1])[0]), None

        (whole, rest, num_rest), (whole_of, rest_of, _) = self._split(inputs), self._split(of_embeddings)
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, parameters), (whole, whole_of))
        return add(total, (rest, rest_of))[0] if num_rest else total


def _num_rows(inputs: Inputs) -> int:
    return len(jax.tree.leaves(inputs)[0])
