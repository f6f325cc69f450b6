"""ConvNeXt and ConvNeXt V2: stages of depthwise 7x7 layers, LayerNorm and 1x1 layers, on ever coarser grids.

Promises: the average over all positions of the last stage, normed, which the published classifiers read and DINOv3
calls the class token of its ConvNeXts; GELU is the exact one. Dropped by rule: classifiers. Not here: the isotropic
networks, timm's variants with other stems, heads or norms ("_ols", "_hnf", "_rms", "_mlp"), the sparse layout of V2's
own self-supervised files (timm's copies are read), and training.

How it is computed: stem, downsampling and 1x1 layers are matrix products; depthwise layers are those of `convolutions`.

Source: arXiv:2201.03545 and github.com/facebookresearch/ConvNeXt; arXiv:2301.00808 and
github.com/facebookresearch/ConvNeXt-V2.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.convnext.config import POOLINGS, parameter_shapes
from lit_precompute.towers.image.convnext.network import apply
from lit_precompute.towers.image.convnext.torch_naming import namings

FAMILY = Family(name="convnext", poolings=POOLINGS, parameter_shapes=parameter_shapes, namings=namings, apply=apply)
