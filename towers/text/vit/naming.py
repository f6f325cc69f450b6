"""The names of a text ViT's parameters in big_vision's files: block by block, or scanned (all blocks in one array).

Source: big_vision, models/proj/image_text/text_transformer.py and models/vit.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lit_precompute.towers.weights.naming import Link, Naming, link

# Prefixes of the text side in files of two towers, outermost first.
_ROOTS = ("params/", "opt/target/", "txt/")
_BLOCK = re.compile(r"blocks/(\d+)/(.*)")
_OUTSIDE = {
    "token_embedding/embedding": "Embed_0/embedding",
    "position_embedding": "pos_embedding",
    "final_norm/scale": "Encoder_0/encoder_norm/scale",
    "final_norm/bias": "Encoder_0/encoder_norm/bias",
    "head/kernel": "head/kernel",
    "head/bias": "head/bias",
}
_LAYERS = {
    "attention_norm": "LayerNorm_0",
    "attention": "MultiHeadDotProductAttention_0",
    "perceptron_norm": "LayerNorm_1",
    "perceptron_in": "MlpBlock_0/Dense_0",
    "perceptron_out": "MlpBlock_0/Dense_1",
}


def namings(depth: int, shapes: Mapping[str, tuple[int, ...]]) -> list[Naming]:
    """Returns big_vision's two layouts for a tower of `depth` blocks with these parameters, the current one first."""
    outside = [link(_OUTSIDE[name], name) for name in shapes if name in _OUTSIDE]
    within = {found[2] for found in map(_BLOCK.fullmatch, shapes) if found}
    plain = [
        link(f"Encoder_0/encoderblock_{number}/{_in_file(inner)}", f"blocks/{number}/{inner}")
        for number in range(depth)
        for inner in sorted(within)
    ]
    scanned = [
        Link(
            file=f"Encoder_0/encoderblock/{_in_file(inner)}",
            parameters=tuple(f"blocks/{number}/{inner}" for number in range(depth)),
            joined="stacked",
        )
        for inner in sorted(within)
    ]
    return [
        Naming(name="big_vision", links=[*outside, *plain], roots=_ROOTS),
        Naming(name="big_vision, scanned blocks", links=[*outside, *scanned], roots=_ROOTS),
    ]


def _in_file(inner: str) -> str:
    """Returns a file's name of a parameter within a block."""
    layer, _, rest = inner.partition("/")
    return f"{_LAYERS[layer]}/{rest}"
