"""DINOv3's Vision Transformers: rotary positions, registers, layer scale, and a gated MLP in some sizes.

Promises: images of any side, since positions are computed; three choices of what the embedding is (`DINOv3Config`).
Dropped by rule: the mask token and the norm of local crops, which only training uses. Its ConvNeXts are of the family
`convnext`, whose "average" is what DINOv3 calls their class token. Not here: training, images that are not square, and
the bfloat16 rounding of the authors' table of periods (transformers and timm compute the periods in float32, as we do).

Source: arXiv:2508.10104; github.com/facebookresearch/dinov3, dinov3/models/vision_transformer.py; transformers,
models/dinov3_vit/modeling_dinov3_vit.py.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.dinov3.config import POOLINGS
from lit_precompute.towers.image.dinov3.network import apply
from lit_precompute.towers.image.dinov3.parameters import fit, parameter_shapes
from lit_precompute.towers.image.dinov3.torch_naming import namings

FAMILY = Family(
    name="dinov3",
    poolings=POOLINGS,
    parameter_shapes=parameter_shapes,
    namings=namings,
    fit=fit,
    apply=apply,
    in_compute_type=lambda name: name.endswith("/kernel"),
)
