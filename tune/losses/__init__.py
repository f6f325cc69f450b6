"""Contrastive losses, and the gradient cache. Each kind of loss is one module, its options and one entry here.

A kind has a function `make(options, *, tile_rows, image_is_trained)` that returns a `Loss`, imported at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_precompute.tune.losses.options import LossOptions, SoftmaxOptions

if TYPE_CHECKING:
    from lit_precompute.tune.losses.loss import Loss

LossOptions.kinds.register(SoftmaxOptions, "lit_precompute.tune.losses.softmax:make_loss")


def make_loss(options: LossOptions, *, tile_rows: int, image_is_trained: bool) -> Loss:
    """Returns the loss that the options describe.

    Args:
      options: of any registered kind.
      tile_rows: texts whose similarities are in memory at once; affects speed and memory, not the result.
      image_is_trained: whether the image side has parameters; if not, no gradient is computed for it.
    """
    return LossOptions.kinds.make(options, tile_rows=tile_rows, image_is_trained=image_is_trained)


__all__ = ["LossOptions", "SoftmaxOptions", "make_loss"]
