"""Validation on held-out rows: retrieval among all of them, and the loss over fixed batches.

Promises: it reads parameters and changes nothing, so that a run with and without it ends in the same bits; the same
parameters give the same figures. Ranks are `lit-eval retrieval`'s: exact, in float64, over all held-out rows.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from lit_precompute.tune.data.held_out import HeldOut
from lit_precompute.tune.evaluation.retrieval import recalls
from lit_precompute.tune.losses.loss import ONE_EACH, Loss
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model.sides import Sides, TrainedParameters
from lit_precompute.tune.training.progress import MINIVAL
from lit_precompute.tune.training.step import Locked

_KS = (1, 5)


class Validation:
    """Evaluates parameters on held-out rows."""

    def __init__(self, held_out: HeldOut, sides: Sides, loss: Loss, *, batch_size: int, rows_at_once: int):
        """Compiles nothing yet.

        Args:
          held_out: the images and texts.
          sides: the two sides.
          loss: of the training.
          batch_size: pairs that the loss is over; all, if there are fewer.
          rows_at_once: rows of a side that are embedded at once.
        """
        self._held_out, self._rows_at_once = held_out, rows_at_once
        self._encode_image = jax.jit(lambda parameters, rows: unit_rows(sides.image.apply(parameters, rows)))
        self._encode_text = jax.jit(
            lambda trained, locked, rows: unit_rows(sides.text.apply({**locked, **trained}, rows))
        )
        self._loss = jax.jit(lambda parameters, images, texts: loss.value(parameters, images, texts, ONE_EACH))
        # The first text of each image that has one; what does not fill a batch is left out, as in training.
        self._pairs = np.unique(held_out.owners, return_index=True)
        self.batch_size = min(batch_size, len(self._pairs[0]))

    def measure(self, parameters: TrainedParameters, locked: Locked) -> dict[str, float]:
        """Returns recall at 1 and 5 both ways, and the mean loss of all full batches, by the names of metrics.

        Args:
          parameters: what is trained.
          locked: the text tower's parameters that are not trained.
        """
        images = self._embed(lambda rows: self._encode_image(parameters.image, rows), self._held_out.images)
        texts = self._embed(lambda rows: self._encode_text(parameters.text, locked, rows), self._held_out.texts)
        found = recalls(images, texts, self._held_out.owners, ks=_KS)
        losses = [
            float(np.asarray(self._loss(parameters.loss, images[own_images], texts[own_texts])))
            for own_images, own_texts in self._batches()
        ]
        return {
            f"{MINIVAL}loss": float(np.mean(losses)),
            **{f"{MINIVAL}image_to_text_R@{k}": share.value for k, share in found.image_to_text.items()},
            **{f"{MINIVAL}text_to_image_R@{k}": share.value for k, share in found.text_to_image.items()},
        }

    def _batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns the places of each batch's images, and of their texts."""
        (images, texts), size = self._pairs, self.batch_size
        starts = range(0, len(images) - size + 1, size)
        return [(images[start : start + size], texts[start : start + size]) for start in starts]

    def _embed(self, encode: Any, rows: Any) -> Float32[np.ndarray, "n d"]:
        """Returns the embeddings of all rows, by batches of one shape; the last one is padded."""
        num_rows = len(jax.tree.leaves(rows)[0])
        size = min(self._rows_at_once, num_rows)
        found: list[np.ndarray] = []
        for start in range(0, num_rows, size):
            # Rows before the last ones fill a batch that is too short.
            first = min(start, num_rows - size)
            piece = jax.tree.map(lambda leaf, first=first: leaf[first : first + size], rows)
            found.append(np.asarray(encode(piece))[start - first :])
        return np.concatenate(found)
