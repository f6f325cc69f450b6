"""EfficientNet-Lite 0 to 4: inverted bottlenecks with batch norm and ReLU6, without squeeze and excitation.

Promises: the 1,280 averaged features in front of the classifier, as the published network computes them: TensorFlow's
SAME padding (more at the bottom and right), batch norm with epsilon 1e-3. Not here: training, and the networks with
squeeze and excitation.

Source: github.com/tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py.
"""

from lit_precompute.towers.family import Family
from lit_precompute.towers.image.efficientnet.config import is_statistic, parameter_shapes
from lit_precompute.towers.image.efficientnet.network import apply
from lit_precompute.towers.image.efficientnet.torch_naming import namings

FAMILY = Family(
    name="efficientnet-lite",
    poolings=("average",),
    parameter_shapes=parameter_shapes,
    namings=namings,
    apply=apply,
    is_statistic=is_statistic,
)
