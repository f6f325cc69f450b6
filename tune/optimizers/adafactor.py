"""The paper's Adafactor: squared gradients are kept as row and column means, and the momentum in bfloat16.

It differs from arXiv:1804.04235 as big_vision's does: no clipping of updates, no scaling by a parameter's size, no rate
relative to the step, and a limit to the decay of the squared gradients' mean.

Source: arXiv:2106.04560, section 3.4 (to which arXiv:2111.07991, appendix A, refers); big_vision, optax.py.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.optimizers.options import MomentumType, OptimizerOptions, check_moments

if TYPE_CHECKING:
    import jax
    import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdafactorOptions(OptimizerOptions):
    """Adafactor as the paper uses it.

    Attributes:
      kind: Adafactor.
      beta1: decay of the running mean of scaled gradients, which begins at 0 and is not corrected for that.
      beta2: largest decay of the squared gradients' running mean; at step t it is 1 - t ** -beta2_exponent.
      beta2_exponent: how fast that decay rises.
      epsilon: added to squared gradients.
      min_factored_size: parameters whose two largest dimensions are at least this long keep row and column means.
      momentum_type: type of the running mean of scaled gradients.
    """

    kind: Literal["adafactor"] = "adafactor"
    beta1: float = 0.9
    beta2: float = 0.999
    beta2_exponent: float = 0.8
    epsilon: float = 1e-30
    min_factored_size: int = 32
    momentum_type: MomentumType = "bfloat16"

    def __post_init__(self):
        super().__post_init__()
        check_moments(self)
        if not self.beta2_exponent > 0:
            raise OptionsError(f"optimizer.beta2_exponent must be > 0, got {self.beta2_exponent}")
        if self.min_factored_size < 2:
            raise OptionsError(f"optimizer.min_factored_size must be >= 2, got {self.min_factored_size}")


def scale_by_adafactor(options: AdafactorOptions) -> optax.GradientTransformation:
    """Returns the scaling of gradients."""
    import jax.numpy as jnp
    import optax  # takes a second, and reading options does not need it

    def decay(step: Any, exponent: Any) -> jax.Array:
        return jnp.minimum(options.beta2, 1 - (jnp.asarray(step, jnp.float32) + 1) ** -exponent)

    scaling = optax.scale_by_factored_rms(
        decay_rate=options.beta2_exponent,
        min_dim_size_to_factor=options.min_factored_size,
        epsilon=options.epsilon,
        decay_rate_fn=decay,
    )
    if options.beta1 == 0:
        return scaling
    return optax.chain(scaling, optax.ema(options.beta1, debias=False, accumulator_dtype=options.momentum_type))
