"""MLP-Mixer: dense layers over the patches of an image and over the channels of a patch, in turn.

Promises: the mean over all patches after the last norm, which the classifier would read. A mixer's weights fit one
number of patches: any resolution but the published one is refused.

Not here: training, dropped blocks, and related networks (ResMLP, gMLP).

Source: arXiv:2105.01601; github.com/google-research/big_vision, big_vision/models/mlp_mixer.py; timm,
timm/models/mlp_mixer.py.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.mixer.config import parameter_shapes
from lit_precompute.towers.image.mixer.naming import namings
from lit_precompute.towers.image.mixer.network import apply

FAMILY = Family(
    name="mixer",
    poolings=("average",),
    parameter_shapes=parameter_shapes,
    namings=namings,
    apply=apply,
    in_compute_type=lambda name: name.endswith("/kernel"),
)
