"""Loss and gradients of a batch whose activations need not fit in memory: micro-batches with cached representations.

Promises: exactly the gradients of the whole batch, at any `micro_batch_size`. The text tower runs over micro-batches
and only representations [B, d] are kept; the loss gives their gradient; the tower runs again, micro-batch by
micro-batch, each with its share of it. So memory holds one micro-batch's activations, and batch size is bounded by
compute alone. A batch of one micro-batch runs the tower once.

Source: arXiv:2101.06983 (GradCache).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lit_precompute.tune.losses.softmax import contrastive_loss, unit_rows

Parameters = Any
Encoder = Callable[[Parameters, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedGradient:
    """A function of (parameters, tokens, image vectors) that can be jitted.

    Attributes:
      encode_text: (parameters["text"], tokens [n, L]) -> [n, d], not normalised.
      encode_image: (parameters["image"], vectors [n, D]) -> [n, d], not normalised. A locked side has no parameters:
        then no gradient is computed for it.
      micro_batch_size: texts whose activations are in memory at once.
      tile_rows: see `contrastive_loss`.
    """

    encode_text: Encoder
    encode_image: Encoder
    micro_batch_size: int
    tile_rows: int = 512

    def __call__(
        self, parameters: dict[str, Parameters], tokens: jax.Array, image_vectors: jax.Array
    ) -> tuple[jax.Array, dict[str, Parameters]]:
        """Returns (loss, gradients); parameters and gradients have the keys "text", "image" and "log_scale"."""
        rest = {name: value for name, value in parameters.items() if name != "text"}

        def loss_of(representations: jax.Array, rest: dict[str, Parameters]) -> jax.Array:
            images = unit_rows(self.encode_image(rest["image"], image_vectors))
            trained = bool(jax.tree.leaves(rest["image"]))
            return contrastive_loss(images, unit_rows(representations), rest["log_scale"], self.tile_rows, trained)

        if len(tokens) <= self.micro_batch_size:
            return jax.value_and_grad(lambda p: loss_of(self.encode_text(p["text"], tokens), p))(parameters)
        representations = self._encode(parameters["text"], tokens)
        loss, (to_texts, gradients) = jax.value_and_grad(loss_of, argnums=(0, 1))(representations, rest)
        return loss, {**gradients, "text": self._text_gradients(parameters["text"], tokens, to_texts)}

    def _split(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns whole micro-batches [k, m, ...] and the rest, which may be empty."""
        rest = len(rows) % self.micro_batch_size
        whole = rows[: len(rows) - rest]
        return whole.reshape(-1, self.micro_batch_size, *rows.shape[1:]), rows[len(rows) - rest :]

    def _encode(self, parameters: Parameters, tokens: jax.Array) -> jax.Array:
        whole, rest = self._split(tokens)
        encoded = jax.lax.map(lambda micro_batch: self.encode_text(parameters, micro_batch), whole)
        pieces = [encoded.reshape(-1, encoded.shape[-1])]
        if len(rest):
            pieces.append(self.encode_text(parameters, rest))
        return jnp.concatenate(pieces)

    def _text_gradients(self, parameters: Parameters, tokens: jax.Array, to_texts: jax.Array) -> Parameters:
        def add(total: Parameters, micro_batch: tuple[jax.Array, jax.Array]):
            _, pull_back = jax.vjp(lambda p: self.encode_text(p, micro_batch[0]), parameters)
            return jax.tree.map(jnp.add, total, pull_back(micro_batch[1])[0]), None

        (whole, rest), (whole_to, rest_to) = self._split(tokens), self._split(to_texts)
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, parameters), (whole, whole_to))
        return add(total, (rest, rest_to))[0] if len(rest) else total
