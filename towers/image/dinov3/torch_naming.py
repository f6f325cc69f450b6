"""The names that DINOv3's Vision Transformers have in torch's files: Hugging Face's, the authors' and timm's.

Dropped by rule: the mask token, the norm of local crops (`local_cls_norm`), the periods of the positions, which are
computed, and the mask of `qkv.bias`, which is there so that keys have no bias (`parameters.fit`); the conversions of
transformers and timm leave out the same.

Source: the state_dicts of transformers 5 and timm 1 (timm/models/eva.py); facebookresearch/dinov3, dinov3/layers and
dinov3/models/vision_transformer.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.dinov3.config import DINOv3Config
from lit_precompute.towers.image.dinov3.parameters import parameter_shapes
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.image.vit.torch_naming import layer_links
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

_PARTS = ("query", "key", "value")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """One kind of file: names of layers, followed by `.weight` and `.bias`, and of vectors.

    Attributes:
      name: see `Naming`, as `dropped` and `spellings`.
      registers, embedding, block: prefixes and names outside the blocks.
      layers: a block's layers by our names, those of an MLP without a gate and with one apart.
      vectors: a block's vectors.
      joined_attention: the name of the layer that has queries, keys and values in one; "" where each has its own.
      joined_biases: the names of their biases, and of which parts they are.
    """

    name: str
    cls: str
    registers: str
    embedding: str
    block: str
    layers: Mapping[str, str]
    mlp: Mapping[str, str]
    gated_mlp: Mapping[str, str]
    vectors: Mapping[str, str]
    joined_attention: str = ""
    joined_biases: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    dropped: tuple[str, ...]
    spellings: tuple[tuple[str, str], ...] = ()


_NORMS = {"norm1": "LayerNorm_0", "norm2": "LayerNorm_1"}
_FC = {"mlp.fc1": "MlpBlock_0/Dense_0", "mlp.fc2": "MlpBlock_0/Dense_1"}
_UP_AND_DOWN = {"mlp.up_proj": "MlpBlock_0/Dense_0", "mlp.down_proj": "MlpBlock_0/Dense_1"}

_HUGGING_FACE = _Table(
    name="Hugging Face DINOv3",
    cls="embeddings.cls_token",
    registers="embeddings.register_tokens",
    embedding="embeddings.patch_embeddings",
    block="layer.{}.",
    layers={
        **_NORMS,
        **{f"attention.{part[0]}_proj": f"{ATTENTION}/{part}" for part in _PARTS},
        "attention.o_proj": f"{ATTENTION}/out",
    },
    mlp=_UP_AND_DOWN,
    gated_mlp={**_UP_AND_DOWN, "mlp.gate_proj": "MlpBlock_0/Gate"},
    vectors={"layer_scale1.lambda1": "LayerScale_0", "layer_scale2.lambda1": "LayerScale_1"},
    dropped=(r"embeddings\.mask_token",),
    # What the modules are called since transformers 5, which still saves the names above.
    spellings=((r"^model\.", ""),),
)
_AUTHORS = _Table(
    name="DINOv3's authors",
    cls="cls_token",
    registers="storage_tokens",
    embedding="patch_embed.proj",
    block="blocks.{}.",
    layers={**_NORMS, "attn.proj": f"{ATTENTION}/out"},
    mlp=_FC,
    gated_mlp={"mlp.w1": "MlpBlock_0/Gate", "mlp.w2": "MlpBlock_0/Dense_0", "mlp.w3": "MlpBlock_0/Dense_1"},
    vectors={"ls1.gamma": "LayerScale_0", "ls2.gamma": "LayerScale_1"},
    joined_attention="attn.qkv",
    joined_biases={"attn.qkv.bias": _PARTS},
    dropped=(r"mask_token", r"local_cls_norm\..*", r"rope_embed\.periods", r"blocks\.\d+\.attn\.qkv\.bias_mask"),
)
_TIMM = dataclasses.replace(
    _AUTHORS,
    name="timm",
    registers="reg_token",
    gated_mlp={"mlp.fc1_g": "MlpBlock_0/Gate", "mlp.fc1_x": "MlpBlock_0/Dense_0", "mlp.fc2": "MlpBlock_0/Dense_1"},
    vectors={"gamma_1": "LayerScale_0", "gamma_2": "LayerScale_1"},
    joined_biases={"attn.q_bias": ("query",), "attn.v_bias": ("value",)},
    dropped=(r"head\..*",),
)


def namings(config: DINOv3Config) -> list[Naming]:
    """Returns the kinds of files, Hugging Face's first."""
    shapes = parameter_shapes(config)
    return [
        Naming(
            name=table.name,
            links=list(_links(table, config, shapes)),
            dropped=table.dropped,
            spellings=table.spellings,
        )
        for table in (_HUGGING_FACE, _AUTHORS, _TIMM)
    ]


def _links(table: _Table, config: DINOv3Config, shapes: Shapes) -> Iterator[Link]:
    yield link(table.cls, "cls")
    yield link(table.registers, "registers")
    yield from layer_links(table.embedding, "embedding", shapes)
    yield from layer_links("norm", "Transformer/encoder_norm", shapes)
    mlp = table.gated_mlp if config.gated_mlp else table.mlp
    for number in range(config.depth):
        theirs, ours = table.block.format(number), block_name(number)
        for file, vector in table.vectors.items():
            yield link(theirs + file, f"{ours}/{vector}")
        for file, layer in {**table.layers, **mlp}.items():
            yield from layer_links(theirs + file, f"{ours}/{layer}", shapes)
        if table.joined_attention:
            yield from _joined_attention(table, theirs, f"{ours}/{ATTENTION}", config)


def _joined_attention(table: _Table, theirs: str, ours: str, config: DINOv3Config) -> Iterator[Link]:
    width = config.width
    kernels = (f"{ours}/{part}/kernel" for part in _PARTS)
    yield link(f"{theirs}{table.joined_attention}.weight", *kernels, axes=(1, 0), part_shape=(width, width))
    has_bias = {"query": config.query_bias, "key": config.key_bias, "value": config.value_bias}
    for file, parts in table.joined_biases.items():
        if any(has_bias[part] for part in parts):
            yield link(theirs + file, *(f"{ours}/{part}/bias" for part in parts), part_shape=(width,))
