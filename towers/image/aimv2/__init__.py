"""AIMv2: Vision Transformers with RMS norms and gated MLPs, without a class token and, in their blocks, without biases.

Promises: the models of Apple's collection, with learned or computed positions, and the attention-pooling head and
projection of the one that was tuned with LiT. Not here: images that are not square ("native" models take them).

Source: arXiv:2411.14402; github.com/apple/ml-aim, aim-v2; transformers, models/aimv2.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.aimv2.config import POOLINGS
from lit_precompute.towers.image.aimv2.naming import namings
from lit_precompute.towers.image.aimv2.network import apply
from lit_precompute.towers.image.aimv2.parameters import fit, parameter_shapes

FAMILY = Family(
    name="aimv2",
    poolings=POOLINGS,
    parameter_shapes=parameter_shapes,
    namings=namings,
    fit=fit,
    apply=apply,
    in_compute_type=lambda name: name.endswith("/kernel"),
)
