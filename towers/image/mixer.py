"""MLP-Mixer: dense layers over the patches of a picture and over the channels of a patch, in turn.

Promises: the mean over all patches behind the last norm, which the classifier would read. A mixer's weights are made
for one number of patches: another resolution than the published one is refused.

How it is computed: every layer is a matrix product; GELU is in its tanh form, as JAX's models have it, or exact, as
timm computes the same weights.

Files: vision_transformer's and big_vision's `.npz` (all that are published), the layout before it, which big_vision
still reads, and timm's. Dropped by rule: the classifier. Not here: training, dropped blocks, and the mixer's kin
(ResMLP, gMLP).

Source: arXiv:2105.01601; github.com/google-research/big_vision, big_vision/models/mlp_mixer.py, and
google-research/vision_transformer, vit_jax.ipynb (the list of files); timm, timm/models/mlp_mixer.py. Accuracies: the
papers of Mixer (table 3) and of SAM's models (arXiv:2106.01548), and timm's table of results (2026-11).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from lit_precompute.towers.family import Entry, Family, Shapes, TowerConfig
from lit_precompute.towers.layers import Weights, in_parts, layer_norm, mlp, patch_tokens, pictures_at_a_time
from lit_precompute.towers.preprocessing import SIGNED_RANGE, Method, Preprocessing, Scale, ValueRange
from lit_precompute.towers.weights.naming import BIG_VISION_ROOTS, Naming, link

_EPSILON = 1e-6
_RESOLUTION = 224
# name: (width, depth, hidden width of token mixing, of channel mixing); the paper's table 1
SIZES = {
    "s": (512, 8, 256, 2048),
    "b": (768, 12, 384, 3072),
    "l": (1024, 24, 512, 4096),
    "h": (1280, 32, 640, 5120),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixerConfig(TowerConfig):
    """An MLP-Mixer.

    Attributes:
      patch_size: side of a patch in pixels.
      grid: patches along a side that the weights are made for.
      width: length of a token.
      depth: number of blocks.
      token_width: hidden width of the layers over patches.
      channel_width: hidden width of the layers over channels.
      activation: GELU in its "tanh" form, or "exact".
    """

    patch_size: int
    grid: int
    width: int
    depth: int
    token_width: int
    channel_width: int
    pooling: str = "average"
    activation: Literal["tanh", "exact"] = "tanh"

    def __post_init__(self):
        super().__post_init__()
        if self.resolution != self.grid * self.patch_size:
            raise ValueError(
                f"Mixer: resolution must be {self.grid * self.patch_size}, got {self.resolution}: its layers over "
                f"patches have weights for {self.grid} x {self.grid} of them and cannot be resized; leave the "
                "resolution out, or choose a ViT, whose positions can"
            )

    @property
    def output_width(self) -> int:
        return self.width


def variant(size: str, patch_size: int, **fields: Any) -> MixerConfig:
    """Returns the configuration of a size of `SIZES` for pictures of 224 pixels."""
    width, depth, token_width, channel_width = SIZES[size]
    return MixerConfig(
        resolution=_RESOLUTION,
        patch_size=patch_size,
        grid=_RESOLUTION // patch_size,
        width=width,
        depth=depth,
        token_width=token_width,
        channel_width=channel_width,
        **fields,
    )


def parameter_shapes(config: MixerConfig) -> Shapes:
    """Returns the shapes by canonical name, which is big_vision's; dense kernels are [inputs, outputs]."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {"stem/kernel": (patch, patch, 3, width), "stem/bias": (width,)}
    mixing = {"token": (config.grid**2, config.token_width), "channel": (width, config.channel_width)}
    for number in range(config.depth):
        block = f"MixerBlock_{number}"
        for norm in ("LayerNorm_0", "LayerNorm_1"):
            shapes |= {f"{block}/{norm}/scale": (width,), f"{block}/{norm}/bias": (width,)}
        for axis, (length, hidden) in mixing.items():
            layers = f"{block}/{axis}_mixing"
            shapes |= {f"{layers}/Dense_0/kernel": (length, hidden), f"{layers}/Dense_0/bias": (hidden,)}
            shapes |= {f"{layers}/Dense_1/kernel": (hidden, length), f"{layers}/Dense_1/bias": (length,)}
    return shapes | {"pre_head_layer_norm/scale": (width,), "pre_head_layer_norm/bias": (width,)}


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


def apply(config: MixerConfig, parameters: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
    """Returns float32 [n, width] for float32 images [n, h, w, 3]."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    size = pictures_at_a_time(config.grid**2)
    return in_parts(lambda part: _embed(config, weights, part), images, size)


def _embed(config: MixerConfig, weights: Weights, images: jax.Array) -> jax.Array:
    tokens = patch_tokens(weights, "stem", images.astype(config.compute_type))
    for number in range(config.depth):
        tokens = _block(config, weights, f"MixerBlock_{number}", tokens)
    return layer_norm(weights, "pre_head_layer_norm", tokens, _EPSILON).mean(axis=1, dtype=jnp.float32)


def _block(config: MixerConfig, weights: Weights, block: str, tokens: jax.Array) -> jax.Array:
    channels = layer_norm(weights, f"{block}/LayerNorm_0", tokens, _EPSILON).swapaxes(1, 2)
    tokens += mlp(weights, f"{block}/token_mixing", channels, config.activation).swapaxes(1, 2)
    normed = layer_norm(weights, f"{block}/LayerNorm_1", tokens, _EPSILON)
    return tokens + mlp(weights, f"{block}/channel_mixing", normed, config.activation)


FAMILY = Family(
    name="mixer",
    poolings=("average",),
    parameter_shapes=parameter_shapes,
    namings=namings,
    apply=apply,
)


# folder: {file: ImageNet accuracy, "" where we know of none}
_PUBLISHED = {
    "imagenet21k": {"B_16": "80.64% ImageNet, fine-tuned", "L_16": "82.89% ImageNet, fine-tuned"},
    "imagenet1k": {"B_16": "76.44% ImageNet", "L_16": "71.76% ImageNet"},
    "sam": {"B_32": "72.4% ImageNet", "B_16": "77.4% ImageNet"},
    "gsam": {"S_32": "", "S_16": "", "S_8": "", "B_32": "", "B_16": ""},
}
_TAGS = {"imagenet21k": "in21k", "imagenet1k": "in1k", "sam": "sam_in1k", "gsam": "gsam_in1k"}
# name: (size, method, value range, ImageNet accuracy by timm)
_ON_HUGGING_FACE: dict[str, tuple[str, Method, ValueRange, float]] = {
    "b16_224.goog_in21k": ("b", "bicubic", SIGNED_RANGE, 0),
    "b16_224.goog_in21k_ft_in1k": ("b", "bicubic", SIGNED_RANGE, 76.6),
    "l16_224.goog_in21k": ("l", "bicubic", SIGNED_RANGE, 0),
    "l16_224.goog_in21k_ft_in1k": ("l", "bicubic", SIGNED_RANGE, 72.1),
    "b16_224.miil_in21k": ("b", "bilinear", Scale(low=0), 0),
    "b16_224.miil_in21k_ft_in1k": ("b", "bilinear", Scale(low=0), 82.3),
}


def _entries() -> dict[str, Entry]:
    # As vision_transformer's input pipeline: the whole picture squeezed to a square, bilinear.
    squeezed = Preprocessing(size=_RESOLUTION)
    entries = {
        f"mixer_{size}{patch}": Entry(family=FAMILY, config=variant(size, patch), preprocessing=squeezed)
        for size in SIZES
        for patch in ((32, 16, 14) if size == "h" else (32, 16))
    }
    for folder, files in _PUBLISHED.items():
        for file, accuracy in files.items():
            size, patch = file.lower().split("_")
            entries[f"mixer_{size}{patch}-{_TAGS[folder]}"] = Entry(
                family=FAMILY,
                config=variant(size, int(patch)),
                preprocessing=squeezed,
                weights=f"https://storage.googleapis.com/mixer_models/{folder}/Mixer-{file}.npz",
                accuracy=accuracy,
            )
    for name, (size, method, value_range, accuracy) in _ON_HUGGING_FACE.items():
        preprocessing = Preprocessing(
            size=_RESOLUTION,
            resize="short_side",
            resize_size=256,
            crop="central",
            method=method,
            antialias=True,
            resampler="pillow",
            value_range=value_range,
            jpeg="accurate",
        )
        entries[f"timm/mixer_{name}"] = Entry(
            family=FAMILY,
            config=variant(size, 16, activation="exact"),
            preprocessing=preprocessing,
            weights=f"hf://timm/mixer_{name}/model.safetensors",
            accuracy=f"{accuracy}% ImageNet" if accuracy else "",
        )
    return entries


ENTRIES = _entries()
