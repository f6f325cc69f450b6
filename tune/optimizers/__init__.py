"""Optimizers: each kind is one module (its options and its scaling of gradients) and one entry here."""

from lit_precompute.tune.optimizers.adafactor import AdafactorOptions, scale_by_adafactor
from lit_precompute.tune.optimizers.adam import AdamOptions, scale_by_adam
from lit_precompute.tune.optimizers.lion import LionOptions, scale_by_lion
from lit_precompute.tune.optimizers.options import OptimizerOptions, SideRateOptions

OptimizerOptions.kinds.register(AdamOptions, scale_by_adam)
OptimizerOptions.kinds.register(AdafactorOptions, scale_by_adafactor)
OptimizerOptions.kinds.register(LionOptions, scale_by_lion)

__all__ = ["AdafactorOptions", "AdamOptions", "LionOptions", "OptimizerOptions", "SideRateOptions"]
