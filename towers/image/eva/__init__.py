"""EVA-02 and its CLIP models, and Perception Encoder: Vision Transformers with rotary positions beside learned ones.

Promises: what `EvaConfig` describes, over square images; files of timm and of the authors.
Not here: dropout, training, EVA-01, and Perception Encoder's language and spatial models.

Source: arXiv:2303.11331 (EVA-02), arXiv:2303.15389 (EVA-CLIP), arXiv:2504.13181 (Perception Encoder); timm 1.0.31,
timm/models/eva.py; facebookresearch/perception_models, core/vision_encoder; baaivision/EVA.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.eva.config import POOLINGS
from lit_precompute.towers.image.eva.naming import namings
from lit_precompute.towers.image.eva.network import apply
from lit_precompute.towers.image.eva.parameters import parameter_shapes
from lit_precompute.towers.image.eva.positions import fit

FAMILY = Family(
    name="eva",
    poolings=POOLINGS,
    parameter_shapes=parameter_shapes,
    namings=namings,
    fit=fit,
    apply=apply,
    in_compute_type=lambda name: name.endswith("/kernel"),
)
