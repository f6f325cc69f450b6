"""BiT (Big Transfer): ResNets with the norm in front (v2), group norm and standardised weights.

Promises: the pre-logits (last norm, ReLU, average over all positions), which LiT uses of a ResNet; six sizes, R50x1 to
R152x4; files of the authors, big_vision, Hugging Face and timm. An image's side need not be a multiple of 32.
Not here: training, and the ResNets in front of a Vision Transformer ("hybrid"), whose norms come last.

Source: arXiv:1912.11370; github.com/google-research/big_transfer, bit_jax/models.py.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.bit.config import parameter_shapes
from lit_precompute.towers.image.bit.naming import namings
from lit_precompute.towers.image.bit.network import apply

FAMILY = Family(
    name="bit",
    poolings=("average",),
    parameter_shapes=parameter_shapes,
    namings=namings,
    apply=apply,
)
