"""The names that AIMv2 models have in files: transformers', those of the first published files, and timm's.

Promises: each as a model of its own and, but for timm's, as the image side of the two-tower model.

Source: the state_dicts of transformers 5, apple/ml-aim and timm 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.aimv2.config import AIMv2Config
from lit_precompute.towers.image.aimv2.parameters import HEAD, LAST_NORM, PATCH_NORM, parameter_shapes
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.image.vit.torch_naming import layer_links
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

_QUERY_KEY_VALUE = tuple(f"{ATTENTION}/{part}" for part in ("query", "key", "value"))
_GATE, _UP, _DOWN = (f"MlpBlock_0/{part}" for part in ("Gate", "Dense_0", "Dense_1"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """One kind of file: its layers, whose names are followed by `.weight` and `.bias`, and ours.

    Attributes:
      name: what people call such files.
      block: prefix of a block's layers.
      block_layers: of a block; several of ours where the file joins them.
      layers: of the model outside its blocks.
      positions: the array of learned positions, with or without a leading axis of one.
      probe: the head's learnt query.
      prefix: of all but `projection`, in files of two towers.
      projection: the layer after the head, in files of two towers.
      dropped: what a tower does not use.
    """

    name: str
    block: str
    block_layers: Mapping[str, str | tuple[str, ...]]
    layers: Mapping[str, str]
    positions: str
    probe: str = ""
    prefix: str = ""
    projection: str = ""
    dropped: tuple[str, ...] = ()


_HUGGING_FACE = _Table(
    name="Hugging Face AIMv2",
    block="encoder.layers.{}.",
    block_layers={
        **{f"attention.{part[0]}_proj": f"{ATTENTION}/{part}" for part in ("query", "key", "value")},
        "attention.out_proj": f"{ATTENTION}/out",
        "ffn.gate_proj": _GATE,
        "ffn.up_proj": _UP,
        "ffn.down_proj": _DOWN,
        "rms_norm1": "RMSNorm_0",
        "rms_norm2": "RMSNorm_1",
    },
    layers={
        "embeddings.patch_embed": "embedding",
        "embeddings.rms_norm": PATCH_NORM,
        "rms_norm": LAST_NORM,
        "head.k_proj": f"{HEAD}/key",
        "head.v_proj": f"{HEAD}/value",
        "head.output_proj": f"{HEAD}/out",
    },
    positions="embeddings.position_embedding.weight",
    probe="head.cls_token",
    dropped=(r"head\..*", r".*\.position_ids"),
)
_ORIGINAL = _Table(
    name="AIMv2",
    block="trunk.blocks.{}.",
    block_layers={
        "attn.qkv": _QUERY_KEY_VALUE,
        "attn.proj": f"{ATTENTION}/out",
        "mlp.fc1": _GATE,
        "mlp.fc3": _UP,
        "mlp.fc2": _DOWN,
        "norm_1": "RMSNorm_0",
        "norm_2": "RMSNorm_1",
    },
    layers={
        "preprocessor.patchifier.proj": "embedding",
        "preprocessor.patchifier.norm": PATCH_NORM,
        "trunk.post_trunk_norm": LAST_NORM,
        "head.k": f"{HEAD}/key",
        "head.v": f"{HEAD}/value",
        "head.linear": f"{HEAD}/out",
    },
    positions="preprocessor.pos_embed",
    probe="head.cls_token",
    dropped=(r"head\..*",),
)
_TIMM = _Table(
    name="timm AIMv2",
    block="blocks.{}.",
    block_layers={
        "attn.qkv": _QUERY_KEY_VALUE,
        "attn.proj": f"{ATTENTION}/out",
        "mlp.fc1_g": _GATE,
        "mlp.fc1_x": _UP,
        "mlp.fc2": _DOWN,
        "norm1": "RMSNorm_0",
        "norm2": "RMSNorm_1",
    },
    layers={"patch_embed.proj": "embedding", "patch_embed.norm": PATCH_NORM, "norm": LAST_NORM},
    positions="pos_embed",
    dropped=(r"head\..*",),
)
_TABLES = (
    _HUGGING_FACE,
    dataclasses.replace(
        _HUGGING_FACE,
        name="Hugging Face AIMv2, two towers",
        prefix="vision_model.",
        projection="visual_projection",
        dropped=(r"(text_|visual_projection|vision_model\.head).*", "logit_scale", r".*\.position_ids"),
    ),
    _ORIGINAL,
    dataclasses.replace(
        _ORIGINAL,
        name="AIMv2, two towers",
        prefix="image_encoder.",
        projection="image_projector",
        dropped=(r"(text_|image_projector|image_encoder\.head).*", "log_logit_scale"),
    ),
    _TIMM,
)


def namings(config: AIMv2Config) -> list[Naming]:
    """Returns the kinds of torch files that hold a tower of this configuration, those with all parameters first."""
    shapes = parameter_shapes(config)
    found = [
        Naming(name=table.name, links=list(_links(table, config, shapes)), dropped=table.dropped) for table in _TABLES
    ]
    return sorted(found, key=lambda one: sum(len(row.parameters) for row in one.links) < len(shapes))


def _links(table: _Table, config: AIMv2Config, shapes: Shapes) -> Iterator[Link]:
    """Yields the links of the parameters that the tower has; a table may list more."""
    if "pos_embedding" in shapes:
        # Transformers' table has no leading axis; it may be of any length.
        layout = {"part_shape": (-1, config.width)} if table.positions.endswith(".weight") else {}
        yield link(table.prefix + table.positions, "pos_embedding", **layout)
    if table.probe and f"{HEAD}/probe" in shapes:
        yield link(table.prefix + table.probe, f"{HEAD}/probe")
    layers = {table.prefix + file: ours for file, ours in table.layers.items()}
    if table.projection:
        layers[table.projection] = "head"
    for file, ours in layers.items():
        yield from layer_links(file, ours, shapes)
    for number in range(config.depth):
        block = block_name(number)
        for file, ours in table.block_layers.items():
            parts = (ours,) if isinstance(ours, str) else ours
            name = table.prefix + table.block.format(number) + file
            yield from layer_links(name, tuple(f"{block}/{part}" for part in parts), shapes)
