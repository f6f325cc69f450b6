"""Loss and gradients of a batch whose activations need not fit in memory: micro-batches with cached representations.

Promises: exactly the gradients of the whole batch, at any `micro_batch_size`, for any loss. Each side runs over
micro-batches and only representations [B, d] are kept; the loss gives their gradients; a side that is trained runs
again, micro-batch by micro-batch, each with its share of them. So memory holds one micro-batch's activations, and
compute alone bounds the batch size. A batch of one micro-batch runs each side once.

Source: arXiv:2101.06983 (GradCache).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lit_precompute.tune.losses.loss import Loss
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model.sides import TrainedParameters

Parameters = Any
Inputs = Any  # arrays, or trees of arrays, whose first axis is the batch
Encoder = Callable[[Parameters, Inputs], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedGradient:
    """A function of (parameters, images, texts) that can be jitted.

    Attributes:
      encode_image: (parameters.image, inputs of n images) -> [n, d], not normalised.
      encode_text: (parameters.text, tokens [n, L]) -> [n, d], not normalised.
      loss: of unit-norm rows.
      micro_batch_size: pairs whose activations are in memory at once.
    """

    encode_image: Encoder
    encode_text: Encoder
    loss: Loss
    micro_batch_size: int

    def __call__(
        self, parameters: TrainedParameters, images: Inputs, texts: Inputs
    ) -> tuple[jax.Array, TrainedParameters]:
        """Returns (loss, gradients); a side without parameters gets none and is run once."""
        if _num_rows(texts) <= self.micro_batch_size:
            return jax.value_and_grad(self._whole)(parameters, images, texts)
        image_rows = self._encode(self.encode_image, parameters.image, images)
        text_rows = self._encode(self.encode_text, parameters.text, texts)
        value_and_gradients = jax.value_and_grad(self._loss_of_rows, argnums=(0, 1, 2))
        loss, (of_loss, of_images, of_texts) = value_and_gradients(parameters.loss, image_rows, text_rows)
        return loss, TrainedParameters(
            image=self._gradients(self.encode_image, parameters.image, images, of_images),
            loss=of_loss,
            text=self._gradients(self.encode_text, parameters.text, texts, of_texts),
        )

    def _whole(self, parameters: TrainedParameters, images: Inputs, texts: Inputs) -> jax.Array:
        image_rows = self.encode_image(parameters.image, images)
        return self._loss_of_rows(parameters.loss, image_rows, self.encode_text(parameters.text, texts))

    def _loss_of_rows(self, parameters: Parameters, image_rows: jax.Array, text_rows: jax.Array) -> jax.Array:
        return self.loss.value(parameters, unit_rows(image_rows), unit_rows(text_rows))

    def _split(self, rows: Inputs) -> tuple[Inputs, Inputs, int]:
        """Returns whole micro-batches [k, m, ...], the rest, and how many rows the rest has."""
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
        self, encode: Encoder, parameters: Parameters, inputs: Inputs, row_gradients: jax.Array
    ) -> Parameters:
        if not parameters:
            return parameters

        def add(total: Parameters, micro_batch: tuple[Inputs, jax.Array]):
            _, pull_back = jax.vjp(lambda p: encode(p, micro_batch[0]), parameters)
            return jax.tree.map(jnp.add, total, pull_back(micro_batch[1])[0]), None

        (whole, rest, num_rest), (whole_of, rest_of, _) = self._split(inputs), self._split(row_gradients)
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, parameters), (whole, whole_of))
        return add(total, (rest, rest_of))[0] if num_rest else total


def _num_rows(inputs: Inputs) -> int:
    return len(jax.tree.leaves(inputs)[0])
