"""Contrastive losses, and the gradient cache. Each kind of loss is one module, its options and one entry here.

A kind has a function `make(options, *, tile_rows, tile_columns, image_is_trained)` that returns a `Loss`. It is
imported at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lit_precompute.tune.losses.options import LossOptions, SigmoidOptions, SoftmaxOptions

if TYPE_CHECKING:
    from lit_precompute.tune.losses.loss import Loss

LossOptions.kinds.register(SoftmaxOptions, "lit_precompute.tune.losses.softmax:make_loss")
LossOptions.kinds.register(SigmoidOptions, "lit_precompute.tune.losses.sigmoid:make_loss")


def make_loss(
    options: LossOptions,
    *,
    image_is_trained: bool,
    tile_rows: int | None = None,
    tile_columns: int | None = None,
    num_fields: int = 1,
) -> Loss:
    """Returns the loss that the options describe.

    Args:
      options: of any registered kind.
      image_is_trained: whether the image side has parameters; if not, no gradient is computed for it.
      tile_rows: texts whose similarities are in memory at once; affects speed and memory, not the result. None: as
        many as suit the device.
      tile_columns: images, likewise.
      num_fields: text fields that are used jointly: the loss is the sum over them.
    """
    from lit_precompute.tune.losses.combining import over_fields, within_groups
    from lit_precompute.tune.losses.tiles import choose_sizes

    sizes = choose_sizes(tile_rows, tile_columns)
    loss: Loss = LossOptions.kinds.make(
        options, tile_rows=sizes.rows, tile_columns=sizes.columns, image_is_trained=image_is_trained
    )
    if options.group_size is not None:
        loss = within_groups(loss, options.group_size)
    return loss if num_fields == 1 else over_fields(loss, num_fields)


__all__ = ["LossOptions", "SigmoidOptions", "SoftmaxOptions", "make_loss"]
