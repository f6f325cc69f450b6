"""The names of a text ViT's parameters in files: big_vision's, transformers' for SigLIP, and OpenCLIP's.

Promises: big_vision's present layout, block by block or scanned (all blocks in one array), and the one in which
vision_transformer counts a block's layers; SiglipTextModel's names, alone or beside an image tower; OpenCLIP's, where
query, key and value are one array. Parameters that a kind of file has no place for, such as those of an MLP head, have
the names used here.

Source: big_vision, models/proj/image_text/text_transformer.py and models/vit.py; vision_transformer,
vit_jax/models_lit.py; the state_dicts of transformers 5 and open_clip 3.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping

from lit_precompute.towers.text.vit.options import ViTTextOptions
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

Shapes = Mapping[str, tuple[int, ...]]
_BLOCK = re.compile(r"blocks/(\d+)/(.*)")

# big_vision: prefixes of the text side in files of two towers, outermost first; our layers to theirs.
_BIG_VISION_ROOTS = ("params/", "opt/target/", "txt/")
_BIG_VISION_OUTSIDE = {
    "token_embedding/embedding": "Embed_0/embedding",
    "position_embedding": "pos_embedding",
    "final_norm": "Encoder_0/encoder_norm",
    "pooling/probe": "MAPHead_0/probe",
    "pooling/attention": "MAPHead_0/MultiHeadDotProductAttention_0",
    "pooling/perceptron_norm": "MAPHead_0/LayerNorm_0",
    "pooling/perceptron_in": "MAPHead_0/MlpBlock_0/Dense_0",
    "pooling/perceptron_out": "MAPHead_0/MlpBlock_0/Dense_1",
}
_BIG_VISION_BLOCK = {
    "attention_norm": "LayerNorm_0",
    "attention": "MultiHeadDotProductAttention_0",
    "perceptron_norm": "LayerNorm_1",
    "perceptron_in": "MlpBlock_0/Dense_0",
    "perceptron_out": "MlpBlock_0/Dense_1",
}
_COUNTED_BLOCK = {
    **_BIG_VISION_BLOCK,
    "attention": "MultiHeadDotProductAttention_1",
    "perceptron_norm": "LayerNorm_2",
    "perceptron_in": "MlpBlock_3/Dense_0",
    "perceptron_out": "MlpBlock_3/Dense_1",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _TorchNames:
    """A kind of torch file: vectors and tables by their whole names, layers by what precedes `weight` and `bias`."""

    name: str
    tables: Mapping[str, str]
    layers: Mapping[str, str | tuple[str, ...]]
    block: str
    block_layers: Mapping[str, str | tuple[str, ...]]
    roots: tuple[str, ...]
    dropped: tuple[str, ...]


_QUERY_KEY_VALUE = ("attention/query", "attention/key", "attention/value")
_TRANSFORMERS = _TorchNames(
    name="transformers",
    tables={
        "embeddings.token_embedding.weight": "token_embedding/embedding",
        "embeddings.position_embedding.weight": "position_embedding",
    },
    layers={"final_layer_norm.": "final_norm", "head.": "head"},
    block="encoder.layers.{}.",
    block_layers={
        "layer_norm1.": "attention_norm",
        **{f"self_attn.{layer[10]}_proj.": layer for layer in _QUERY_KEY_VALUE},
        "self_attn.out_proj.": "attention/out",
        "layer_norm2.": "perceptron_norm",
        "mlp.fc1.": "perceptron_in",
        "mlp.fc2.": "perceptron_out",
    },
    roots=("text_model.",),
    dropped=(r"embeddings\.position_ids",),
)
_OPEN_CLIP = _TorchNames(
    name="OpenCLIP",
    tables={"token_embedding.weight": "token_embedding/embedding", "positional_embedding": "position_embedding"},
    layers={"ln_final.": "final_norm", "text_projection.": "head"},
    block="transformer.resblocks.{}.",
    block_layers={
        "ln_1.": "attention_norm",
        "attn.in_proj_": _QUERY_KEY_VALUE,
        "attn.out_proj.": "attention/out",
        "ln_2.": "perceptron_norm",
        "mlp.c_fc.": "perceptron_in",
        "mlp.c_proj.": "perceptron_out",
    },
    roots=("text.",),
    dropped=(),
)


def namings(options: ViTTextOptions, shapes: Shapes) -> list[Naming]:
    """Returns the kinds of files that hold such a tower with these parameters; the one that is written comes first."""
    found = [
        Naming(
            name=name,
            links=[*_big_vision_outside(shapes), *blocks],
            roots=_BIG_VISION_ROOTS,
            dropped=_unused(options),
        )
        for name, blocks in (
            ("big_vision", _big_vision_blocks(shapes, _BIG_VISION_BLOCK)),
            ("big_vision, scanned blocks", _scanned_blocks(options.depth, shapes)),
            ("vision_transformer", _big_vision_blocks(shapes, _COUNTED_BLOCK)),
        )
    ]
    for kind in (_TRANSFORMERS, _OPEN_CLIP):
        links = list(_torch_links(kind, options.depth, shapes))
        known = {parameter for row in links for parameter in row.parameters}
        own = [link(name, name) for name in shapes if name not in known]
        dropped = kind.dropped if options.head == "linear" else (*kind.dropped, *_head_names(kind))
        found.append(Naming(name=kind.name, links=[*links, *own], roots=kind.roots, dropped=dropped))
    return found


def _unused(options: ViTTextOptions) -> tuple[str, ...]:
    """Returns patterns of what a file of big_vision may hold and this tower does not use."""
    pooling = () if options.pooling == "attention" else (r"MAPHead_0/.*",)
    return pooling if options.head == "linear" else (*pooling, r"head/(kernel|bias)")


def _big_vision_outside(shapes: Shapes) -> list[Link]:
    outside = [name for name in shapes if not _BLOCK.fullmatch(name)]
    return [link(_renamed(name, _BIG_VISION_OUTSIDE), name) for name in outside]


def _big_vision_blocks(shapes: Shapes, layers: Mapping[str, str]) -> list[Link]:
    matches = [match for match in map(_BLOCK.fullmatch, shapes) if match]
    return [link(f"Encoder_0/encoderblock_{match[1]}/{_renamed(match[2], layers)}", match[0]) for match in matches]


def _scanned_blocks(depth: int, shapes: Shapes) -> list[Link]:
    within = sorted({match[2] for match in map(_BLOCK.fullmatch, shapes) if match})
    return [
        Link(
            file=f"Encoder_0/encoderblock/{_renamed(inner, _BIG_VISION_BLOCK)}",
            parameters=tuple(f"blocks/{number}/{inner}" for number in range(depth)),
            joined="stacked",
        )
        for inner in within
    ]


def _renamed(name: str, layers: Mapping[str, str]) -> str:
    """Returns a parameter's name with that of its layer, the longest known one, replaced; an unknown one is kept."""
    layer, rest = name, ""
    while layer not in layers:
        layer, slash, last = layer.rpartition("/")
        if not slash:
            return name
        rest = f"/{last}{rest}"
    return layers[layer] + rest


def _head_names(kind: _TorchNames) -> Iterator[str]:
    return (rf"{re.escape(file)}(weight|bias)" for file, layer in kind.layers.items() if layer == "head")


def _torch_links(kind: _TorchNames, depth: int, shapes: Shapes) -> Iterator[Link]:
    for file, parameter in kind.tables.items():
        yield link(file, parameter, part_shape=shapes[parameter][-2:])
    for file, layer in kind.layers.items():
        yield from _torch_layer(file, layer, shapes, lambda name: name)
    for number in range(depth):
        for file, layer in kind.block_layers.items():
            theirs = kind.block.format(number) + file
            yield from _torch_layer(theirs, layer, shapes, lambda name, number=number: f"blocks/{number}/{name}")


def _torch_layer(
    file: str, layers: str | tuple[str, ...], shapes: Shapes, whole: Callable[[str], str]
) -> Iterator[Link]:
    """Yields the links of a layer's weight and bias; torch's matrices have the outputs first."""
    names = [whole(layer) for layer in ((layers,) if isinstance(layers, str) else layers)]
    if f"{names[0]}/scale" in shapes:
        yield link(f"{file}weight", f"{names[0]}/scale")
        yield link(f"{file}bias", f"{names[0]}/bias")
    if f"{names[0]}/kernel" not in shapes:
        return
    shape, bias_shape = shapes[f"{names[0]}/kernel"], shapes[f"{names[0]}/bias"]
    num_outputs = math.prod(bias_shape)
    matrix = (num_outputs, math.prod(shape) // num_outputs)
    yield link(f"{file}weight", *(f"{name}/kernel" for name in names), axes=(1, 0), part_shape=matrix)
    yield link(f"{file}bias", *(f"{name}/bias" for name in names), part_shape=(num_outputs,))
