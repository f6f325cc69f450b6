"""Vision Transformers: big_vision's and AugReg's, and those of DINO, MoCo-v3, DINOv2, SigLIP, CLIP and OpenCLIP.

Promises: pre-norm blocks over patches of a square image, and six choices of what the embedding is (`ViTConfig`).
Not here: dropout, training, and images that are not square (SigLIP 2's "naflex" models).

Source: github.com/google-research/big_vision, big_vision/models/vit.py; widths and depths: arXiv:2106.04560, table 2.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.vit import big_vision_naming, torch_naming
from lit_precompute.towers.image.vit.config import POOLINGS
from lit_precompute.towers.image.vit.network import apply
from lit_precompute.towers.image.vit.parameters import adapt, parameter_shapes
from lit_precompute.towers.image.vit.positions import fit

FAMILY = Family(
    name="vit",
    poolings=POOLINGS,
    parameter_shapes=parameter_shapes,
    namings=lambda config: [*big_vision_naming.namings(config), *torch_naming.namings(config)],
    adapt=adapt,
    fit=fit,
    apply=apply,
    in_compute_type=lambda name: name.endswith("/kernel"),
)
