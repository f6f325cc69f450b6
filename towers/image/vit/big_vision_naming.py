"""The names that big_vision and vision_transformer have given a Vision Transformer over the years.

Promises: the present layout, the scanned one (all blocks in one array), and the older ones: blocks numbered by layer
(LayerNorm_2, MultiHeadDotProductAttention_1, MlpBlock_3), positions inside the encoder, attention pooling at the top of
the file; with optimiser state around it or as one half of a two-tower model.

Source: github.com/google-research/big_vision, big_vision/models/vit.py; google-research/vision_transformer,
vit_jax/models_vit.py.
"""

from __future__ import annotations

import itertools
import re

from lit_precompute.towers.image.vit.config import ViTConfig
from lit_precompute.towers.image.vit.parameters import block_name, block_shapes, parameter_shapes
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import BIG_VISION_ROOTS, Naming

_OLD_BLOCK_PARTS = {
    "LayerNorm_1": "LayerNorm_2",
    "MultiHeadDotProductAttention_0": "MultiHeadDotProductAttention_1",
    "MlpBlock_0": "MlpBlock_3",
}
# Present files add positions to the patches only, older ones to the class token as well.
_POSITIONS = {
    "big_vision": link("pos_embedding", "pos_embedding"),
    "big_vision with a class token": Link(file="pos_embedding", parameters=("pos_embedding",), missing_rows=1),
    "big_vision of 2021": link("Transformer/pos_embedding", "pos_embedding"),
    "vision_transformer": link("Transformer/posembed_input/pos_embedding", "pos_embedding"),
}
# A file may hold parameters that the chosen pooling does not use.
_HEADS = {
    "map": r"MAPHead_0/.*|probe|(?:MultiHeadDotProductAttention_0|LayerNorm_0|MlpBlock_0)/.*",
    "pre_logits": r"pre_logits/.*",
    "projection": r"head/.*",
}


def namings(config: ViTConfig) -> list[Naming]:
    """Returns the naming of every combination of layouts."""
    dropped = tuple(pattern for pooling, pattern in _HEADS.items() if pooling != config.pooling)
    found: list[Naming] = []
    for (name, positions), blocks, old_map in itertools.product(_POSITIONS.items(), _BLOCKS, (False, True)):
        top = [link(_old_map_name(ours) if old_map else ours, ours) for ours in _top_names(config)]
        token = [link("cls", "cls")] if name != "big_vision" else []
        links = [*top, *token, positions, *_BLOCKS[blocks](config)]
        kind = f"{name}, {blocks} blocks{', pooling at the top' if old_map else ''}"
        found.append(Naming(name=kind, links=links, roots=BIG_VISION_ROOTS, dropped=dropped))
    return found


def _top_names(config: ViTConfig) -> list[str]:
    outside = ("Transformer/encoderblock_", "pos_embedding", "cls")
    return [name for name in parameter_shapes(config) if not name.startswith(outside)]


def _old_map_name(name: str) -> str:
    return name.removeprefix("MAPHead_0/")


def _present_blocks(config: ViTConfig) -> list[Link]:
    return [link(name, name) for number in range(config.depth) for name in block_shapes(config, block_name(number))]


def _old_blocks(config: ViTConfig) -> list[Link]:
    pattern = re.compile("|".join(_OLD_BLOCK_PARTS))
    return [
        link(pattern.sub(lambda part: _OLD_BLOCK_PARTS[part[0]], row.file), *row.parameters)
        for row in _present_blocks(config)
    ]


def _scanned_blocks(config: ViTConfig) -> list[Link]:
    return [
        Link(
            file=f"Transformer/encoderblock{inner}",
            parameters=tuple(block_name(number) + inner for number in range(config.depth)),
            joined="stacked",
        )
        for inner in block_shapes(config, "")
    ]


_BLOCKS = {"present": _present_blocks, "old": _old_blocks, "scanned": _scanned_blocks}
