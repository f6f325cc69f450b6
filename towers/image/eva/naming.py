"""The names that EVA-02 and Perception Encoder have in torch's files: timm's, and the authors'.

Source: the state_dicts of timm 1.0.31 and its `checkpoint_filter_fn`, which lists where the authors' names differ;
facebookresearch/perception_models, core/vision_encoder/pe.py; baaivision/EVA, EVA-02/asuka/modeling_finetune.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.eva.config import EvaConfig
from lit_precompute.towers.image.eva.parameters import LAST_NORM, MAP, PRE_NORM, parameter_shapes
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.image.vit.torch_naming import Layers, layer_links
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

_PARTS = ("query", "key", "value")
_MASK_AND_ROTATIONS = (r"mask_token", r"lm_head\..*", r"(.*\.)?rope\..*")
# EVA-02's and EVA-CLIP's own files, where they differ from timm's.
_AUTHORS = (
    (r"\bmlp\.w12\.", "mlp.fc1."),
    (r"\bmlp\.w1\.", "mlp.fc1_g."),
    (r"\bmlp\.w2\.", "mlp.fc1_x."),
    (r"\bmlp\.w3\.", "mlp.fc2."),
    (r"\bmlp\.ffn_ln\.", "mlp.norm."),
    (r"\battn\.inner_attn_ln\.", "attn.norm."),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """One kind of file: its layers and vectors outside the blocks, and the layers in one."""

    vectors: Mapping[str, str]
    layers: Layers
    block: str
    block_layers: Layers


def namings(config: EvaConfig) -> list[Naming]:
    """Returns the kinds of torch files that hold a tower of this configuration; the publisher's own comes first."""
    timm = _timm(config)
    if not config.key_bias or config.projection_bias:
        return [timm]
    return [_perception_encoder(config), timm]


def _timm(config: EvaConfig) -> Naming:
    # timm keeps what the authors keep apart where the MLP has a norm.
    apart = config.mlp_norm
    last_norm = "fc_norm" if config.last_norm == "average" else "norm"
    table = _Table(
        vectors={"cls_token": "cls", "pos_embed": "pos_embedding", "attn_pool.latent": f"{MAP}/probe"},
        layers={
            "patch_embed.proj": "embedding",
            "norm_pre": PRE_NORM,
            last_norm: LAST_NORM,
            "attn_pool.q": f"{MAP}/{ATTENTION}/query",
            "attn_pool.kv": (f"{MAP}/{ATTENTION}/key", f"{MAP}/{ATTENTION}/value"),
            "attn_pool.proj": f"{MAP}/{ATTENTION}/out",
            "attn_pool.norm": f"{MAP}/LayerNorm_0",
            "attn_pool.mlp.fc1": f"{MAP}/MlpBlock_0/Dense_0",
            "attn_pool.mlp.fc2": f"{MAP}/MlpBlock_0/Dense_1",
            "head": "head",
        },
        block="blocks.{}.",
        block_layers={
            "norm1": "LayerNorm_0",
            "norm2": "LayerNorm_1",
            "attn.norm": f"{ATTENTION}/LayerNorm_0",
            "attn.proj": f"{ATTENTION}/out",
            "mlp.norm": "MlpBlock_0/LayerNorm_0",
            "mlp.fc2": "MlpBlock_0/Dense_1",
            **_attention(config, apart=apart),
            **_first_of_mlp(config, apart=apart),
        },
    )
    spellings = _AUTHORS
    if apart:
        spellings += ((r"\battn\.([qv])_bias$", r"attn.\1_proj.bias"),)
    if config.last_norm == "average":
        # As timm has it for files of the masked pre-training.
        spellings += ((r"^norm\.", "fc_norm."),)
    return Naming(
        name="timm",
        links=list(_links(table, config)),
        roots=("visual.trunk.", "visual."),
        dropped=(*_MASK_AND_ROTATIONS, *_unused(config, r"head\..*")),
        spellings=spellings,
    )


def _unused(config: EvaConfig, projection: str) -> tuple[str, ...]:
    """Returns the parts of a file that the chosen pooling does not use; a projection may be a classifier."""
    parts = () if config.pooling == "projection" else (projection,)
    return parts if config.pooled == "map" else (*parts, r"attn_pool\..*")


def _attention(config: EvaConfig, *, apart: bool) -> Layers:
    if apart:
        return {f"attn.{part[0]}_proj": f"{ATTENTION}/{part}" for part in _PARTS}
    # Without a bias of keys those of queries and values are vectors of their own: `_links` has them.
    return {"attn.qkv": tuple(f"{ATTENTION}/{part}" for part in _PARTS)}


def _first_of_mlp(config: EvaConfig, *, apart: bool) -> Layers:
    gate, first = "MlpBlock_0/Gate", "MlpBlock_0/Dense_0"
    if config.activation == "exact":
        return {"mlp.fc1": first}
    return {"mlp.fc1_g": gate, "mlp.fc1_x": first} if apart else {"mlp.fc1": (gate, first)}


def _perception_encoder(config: EvaConfig) -> Naming:
    table = _Table(
        vectors={
            "class_embedding": "cls",
            "positional_embedding": "pos_embedding",
            "attn_pool.probe": f"{MAP}/probe",
            "proj": "head/kernel",
        },
        layers={
            "conv1": "embedding",
            "ln_pre": PRE_NORM,
            "ln_post": LAST_NORM,
            "attn_pool.attn.in_proj_": tuple(f"{MAP}/{ATTENTION}/{part}" for part in _PARTS),
            "attn_pool.attn.out_proj": f"{MAP}/{ATTENTION}/out",
            "attn_pool.layernorm": f"{MAP}/LayerNorm_0",
            "attn_pool.mlp.c_fc": f"{MAP}/MlpBlock_0/Dense_0",
            "attn_pool.mlp.c_proj": f"{MAP}/MlpBlock_0/Dense_1",
        },
        block="transformer.resblocks.{}.",
        block_layers={
            "ln_1": "LayerNorm_0",
            "ln_2": "LayerNorm_1",
            "attn.in_proj_": tuple(f"{ATTENTION}/{part}" for part in _PARTS),
            "attn.out_proj": f"{ATTENTION}/out",
            "mlp.c_fc": "MlpBlock_0/Dense_0",
            "mlp.c_proj": "MlpBlock_0/Dense_1",
        },
    )
    return Naming(
        name="Perception Encoder",
        links=list(_links(table, config)),
        roots=("module.", "visual."),
        dropped=_unused(config, "proj"),
    )


def _links(table: _Table, config: EvaConfig) -> Iterator[Link]:
    """Yields the links of the parameters that the tower has; a table may list more."""
    shapes = parameter_shapes(config)
    for file, ours in table.vectors.items():
        if ours in shapes:
            yield _vector(file, ours, shapes)
    for file, ours in table.layers.items():
        yield from layer_links(file, ours, shapes)
    for number in range(config.depth):
        theirs, block = table.block.format(number), block_name(number)
        for file, ours in table.block_layers.items():
            parts = (ours,) if isinstance(ours, str) else ours
            yield from _block_layer(theirs + file, tuple(f"{block}/{part}" for part in parts), shapes)


def _vector(file: str, ours: str, shapes: Shapes) -> Link:
    if file == "positional_embedding":
        return link(file, ours, part_shape=(-1, shapes[ours][-1]))  # without the leading one, of any length
    return link(file, ours, part_shape=shapes[ours][-1:] if file == "class_embedding" else None)


def _block_layer(file: str, ours: tuple[str, ...], shapes: Shapes) -> Iterator[Link]:
    has_bias = [f"{layer}/bias" in shapes for layer in ours]
    if all(has_bias) or not any(has_bias):
        yield from layer_links(file, ours, shapes)
        return
    yield from layer_links(file, ours, {name: shape for name, shape in shapes.items() if not name.endswith("/bias")})
    attention = file.removesuffix("qkv")
    for layer, has in zip(ours, has_bias, strict=True):
        if has:
            name = f"{layer}/bias"
            width = shapes[name][0] * shapes[name][1]
            yield link(f"{attention}{layer.rsplit('/', 1)[-1][0]}_bias", name, part_shape=(width,))
