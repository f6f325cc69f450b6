"""Optimizers: each kind is one module (its options and its scaling of gradients) and one entry here."""

from lit_precompute.tune.optimizers.adam import AdamOptions, scale_by_adam
from lit_precompute.tune.optimizers.options import OptimizerOptions

OptimizerOptions.kinds.register(AdamOptions, scale_by_adam)

__all__ = ["AdamOptions", "OptimizerOptions"]
