"""The names that a Mixer's parameters have in files.

Promises: the `.npz` of vision_transformer and big_vision (all that are published), the layout before it, which
big_vision still reads, and timm's files. Dropped by rule: the classifier.

Source: github.com/google-research/big_vision, big_vision/models/mlp_mixer.py; timm, timm/models/mlp_mixer.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.mixer.config import MixerConfig, parameter_shapes
from lit_precompute.towers.weights.links import link
from lit_precompute.towers.weights.naming import BIG_VISION_ROOTS, Naming

# A part of our name: the file's. They are replaced one after the other.
_OLDER = {
    "stem/": "embedding/",
    "pre_head_layer_norm/": "Mixer/encoder_norm/",
    "MixerBlock_": "Mixer/encoderblock_",
    "_mixing/Dense_0/kernel": "_mixing_phase_0/kernel1",
    "_mixing/Dense_0/bias": "_mixing_phase_0/bias1",
    "_mixing/Dense_1/kernel": "_mixing_phase_0/kernel2",
    "_mixing/Dense_1/bias": "_mixing_phase_0/bias2",
}
_TIMM = {
    "stem/": "stem.proj.",
    "pre_head_layer_norm/": "norm.",
    "MixerBlock_": "blocks.",
    "LayerNorm_0/": "norm1.",
    "LayerNorm_1/": "norm2.",
    "token_mixing/": "mlp_tokens.",
    "channel_mixing/": "mlp_channels.",
    "Dense_0/": "fc1.",
    "Dense_1/": "fc2.",
    "kernel": "weight",
    "scale": "weight",
    "/": ".",
}
# From torch's axes: a convolution's [outputs, inputs, height, width], a dense layer's [outputs, inputs].
_TORCH_AXES = {4: (2, 3, 1, 0), 2: (1, 0), 1: ()}


def _renamed(name: str, parts: Mapping[str, str]) -> str:
    for ours, theirs in parts.items():
        name = name.replace(ours, theirs)
    return name


def namings(config: MixerConfig) -> list[Naming]:
    """Returns the kinds of files."""
    return list(_namings(parameter_shapes(config)))


def _namings(shapes: Shapes) -> Iterator[Naming]:
    links = [link(name, name) for name in shapes]
    yield Naming(name="big_vision", links=links, roots=BIG_VISION_ROOTS, dropped=(r"head/.*",))
    # big_vision counts a block's norms afresh where it reads this layout: the second one has had either number. It
    # also drops axes of length one, which a shape in the link does here.
    for second in ("LayerNorm_1", "LayerNorm_2"):
        parts = {**_OLDER, "LayerNorm_1": second}
        links = [link(_renamed(name, parts), name, part_shape=shape) for name, shape in shapes.items()]
        kind = f"big_vision before Linen, {second}"
        yield Naming(name=kind, links=links, roots=BIG_VISION_ROOTS, dropped=(r"head/.*",))
    links = [link(_renamed(name, _TIMM), name, axes=_TORCH_AXES[len(shape)]) for name, shape in shapes.items()]
    yield Naming(name="timm", links=links, dropped=(r"head\..*",))
