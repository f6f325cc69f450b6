"""The names that Vision Transformers have in torch's files: Hugging Face's, timm's and CLIP's.

Promises: Hugging Face's ViT (and DINO), DINOv2 with and without registers, SigLIP and CLIP; timm, which the original
files of DINO, DINOv2 and MoCo-v3 follow; OpenAI's and OpenCLIP's. Each is a table from a file's layers to ours.

Source: the state_dicts of transformers 5, timm 1, open_clip 3, facebookresearch/{dino,dinov2,moco-v3}.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

from lit_precompute.towers.family import Shapes
from lit_precompute.towers.image.vit.config import ViTConfig
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name, parameter_shapes
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

_QUERY_KEY_VALUE = tuple(f"{ATTENTION}/{part}" for part in ("query", "key", "value"))
# A file's layer: ours (several where the file joins them).
Layers = Mapping[str, str | tuple[str, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """One kind of file. A layer's name is followed by `.weight` and `.bias`, or without the dot if it ends in `_`."""

    name: str
    block: str
    block_layers: Layers
    mlp: Layers = dataclasses.field(default_factory=lambda: _FC)
    gated_mlp: Layers = dataclasses.field(default_factory=dict)
    layers: Layers
    vectors: Mapping[str, str]
    block_vectors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    roots: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    prefix: str = ""


_FC: Layers = {"mlp.fc1": "MlpBlock_0/Dense_0", "mlp.fc2": "MlpBlock_0/Dense_1"}


def _hugging_face_block(norm_0: str, norm_1: str) -> Layers:
    return {
        **{f"attention.attention.{part}": f"{ATTENTION}/{part}" for part in ("query", "key", "value")},
        "attention.output.dense": f"{ATTENTION}/out",
        norm_0: "LayerNorm_0",
        norm_1: "LayerNorm_1",
    }


def _gated(first: str, second: str) -> Layers:
    return {first: ("MlpBlock_0/Gate", "MlpBlock_0/Dense_0"), second: "MlpBlock_0/Dense_1"}


_HUGGING_FACE_LAYERS = {"embeddings.patch_embeddings.projection": "embedding", "layernorm": "Transformer/encoder_norm"}
_HUGGING_FACE_VECTORS = {"embeddings.cls_token": "cls", "embeddings.position_embeddings": "pos_embedding"}

_HUGGING_FACE = _Table(
    name="Hugging Face ViT",
    block="encoder.layer.{}.",
    block_layers=_hugging_face_block("layernorm_before", "layernorm_after"),
    mlp={"intermediate.dense": "MlpBlock_0/Dense_0", "output.dense": "MlpBlock_0/Dense_1"},
    layers={**_HUGGING_FACE_LAYERS, "pooler.dense": "pre_logits"},
    vectors=_HUGGING_FACE_VECTORS,
    roots=("vit.",),
    dropped=(r"classifier\..*", r"pooler\.dense\..*"),
)
_DINOV2 = _Table(
    name="Hugging Face DINOv2",
    block="encoder.layer.{}.",
    block_layers=_hugging_face_block("norm1", "norm2"),
    gated_mlp=_gated("mlp.weights_in", "mlp.weights_out"),
    block_vectors={"layer_scale1.lambda1": "LayerScale_0", "layer_scale2.lambda1": "LayerScale_1"},
    layers=_HUGGING_FACE_LAYERS,
    vectors={**_HUGGING_FACE_VECTORS, "embeddings.register_tokens": "registers"},
    roots=("dinov2.", "dinov2_with_registers."),
    dropped=(r"classifier\..*", r"embeddings\.mask_token"),
)
_TIMM = _Table(
    name="timm",
    block="blocks.{}.",
    block_layers={
        "attn.qkv": _QUERY_KEY_VALUE,
        "attn.proj": f"{ATTENTION}/out",
        "norm1": "LayerNorm_0",
        "norm2": "LayerNorm_1",
    },
    gated_mlp=_gated("mlp.w12", "mlp.w3"),
    block_vectors={"ls1.gamma": "LayerScale_0", "ls2.gamma": "LayerScale_1"},
    layers={
        "patch_embed.proj": "embedding",
        "norm": "Transformer/encoder_norm",
        "pre_logits.fc": "pre_logits",
        "attn_pool.q": f"MAPHead_0/{ATTENTION}/query",
        "attn_pool.kv": tuple(f"MAPHead_0/{ATTENTION}/{part}" for part in ("key", "value")),
        "attn_pool.proj": f"MAPHead_0/{ATTENTION}/out",
        "attn_pool.norm": "MAPHead_0/LayerNorm_0",
        "attn_pool.mlp.fc1": "MAPHead_0/MlpBlock_0/Dense_0",
        "attn_pool.mlp.fc2": "MAPHead_0/MlpBlock_0/Dense_1",
    },
    vectors={
        "cls_token": "cls",
        "pos_embed": "pos_embedding",
        "register_tokens": "registers",
        "attn_pool.latent": "MAPHead_0/probe",
    },
    # MoCo-v3's files hold two encoders; its paper evaluates the one that gradients train.
    roots=("module.base_encoder.",),
    dropped=(r"head(_dist)?\..*", r"mask_token", r"pre_logits\..*", r"attn_pool\..*"),
)


def _two_tower_block(attention: str) -> Layers:
    return {
        **{f"{attention}.{part[0]}_proj": f"{ATTENTION}/{part}" for part in ("query", "key", "value")},
        f"{attention}.out_proj": f"{ATTENTION}/out",
        "layer_norm1": "LayerNorm_0",
        "layer_norm2": "LayerNorm_1",
    }


_TEXT_SIDE = (r"text_model\..*", r"text_projection(\..*)?", r"logit_(scale|bias)", r".*embeddings\.position_ids")
_SIGLIP = _Table(
    name="Hugging Face SigLIP",
    prefix="vision_model.",
    block="encoder.layers.{}.",
    block_layers=_two_tower_block("self_attn"),
    layers={
        "embeddings.patch_embedding": "embedding",
        "post_layernorm": "Transformer/encoder_norm",
        "head.attention.in_proj_": tuple(f"MAPHead_0/{part}" for part in _QUERY_KEY_VALUE),
        "head.attention.out_proj": f"MAPHead_0/{ATTENTION}/out",
        "head.layernorm": "MAPHead_0/LayerNorm_0",
        "head.mlp.fc1": "MAPHead_0/MlpBlock_0/Dense_0",
        "head.mlp.fc2": "MAPHead_0/MlpBlock_0/Dense_1",
    },
    vectors={"embeddings.position_embedding.weight": "pos_embedding", "head.probe": "MAPHead_0/probe"},
    dropped=(*_TEXT_SIDE, r"vision_model\.head\..*"),
)
_CLIP = _Table(
    name="Hugging Face CLIP",
    prefix="vision_model.",
    block="encoder.layers.{}.",
    block_layers=_two_tower_block("self_attn"),
    layers={
        "embeddings.patch_embedding": "embedding",
        "pre_layrnorm": "Transformer/pre_norm",  # sic
        "post_layernorm": "Transformer/encoder_norm",
        "/visual_projection": "head",
    },
    vectors={"embeddings.class_embedding": "cls", "embeddings.position_embedding.weight": "pos_embedding"},
    dropped=(*_TEXT_SIDE, r"visual_projection\..*"),
)
_OPEN_CLIP = _Table(
    name="OpenAI and OpenCLIP",
    block="transformer.resblocks.{}.",
    block_layers={
        "attn.in_proj_": _QUERY_KEY_VALUE,
        "attn.out_proj": f"{ATTENTION}/out",
        "ln_1": "LayerNorm_0",
        "ln_2": "LayerNorm_1",
    },
    mlp={"mlp.c_fc": "MlpBlock_0/Dense_0", "mlp.c_proj": "MlpBlock_0/Dense_1"},
    layers={"conv1": "embedding", "ln_pre": "Transformer/pre_norm", "ln_post": "Transformer/encoder_norm"},
    # The projection is a bare matrix here, inputs first.
    vectors={"class_embedding": "cls", "positional_embedding": "pos_embedding", "proj": "head/kernel"},
    roots=("visual.",),
    dropped=(r"proj",),
)
_TABLES = (_HUGGING_FACE, _DINOV2, _TIMM, _SIGLIP, dataclasses.replace(_SIGLIP, prefix=""), _CLIP, _OPEN_CLIP)


def namings(config: ViTConfig) -> list[Naming]:
    """Returns the kinds of torch files that hold a tower of this configuration."""
    shapes = parameter_shapes(config)
    return [
        Naming(name=table.name, links=list(_links(table, config, shapes)), roots=table.roots, dropped=table.dropped)
        for table in _TABLES
    ]


def _links(table: _Table, config: ViTConfig, shapes: Shapes) -> Iterator[Link]:
    """Yields the links of the parameters that the tower has; a table may list more."""
    for file, ours in table.vectors.items():
        if ours in shapes or ours == "cls":
            yield _vector(table.prefix + file, ours, shapes)
    for file, ours in table.layers.items():
        yield from layer_links(_outer(table, file), ours, shapes)
    for number in range(config.depth):
        theirs, block = table.prefix + table.block.format(number), block_name(number)
        for file, ours in table.block_vectors.items():
            if f"{block}/{ours}" in shapes:
                yield link(theirs + file, f"{block}/{ours}")
        mlp = table.gated_mlp if config.activation == "swiglu" else table.mlp
        for file, ours in {**table.block_layers, **mlp}.items():
            parts = (ours,) if isinstance(ours, str) else ours
            yield from layer_links(theirs + file, tuple(f"{block}/{part}" for part in parts), shapes)


def _outer(table: _Table, file: str) -> str:
    """Returns a layer's name outside the blocks; a leading slash means without the prefix."""
    return file[1:] if file.startswith("/") else table.prefix + file


def _vector(file: str, ours: str, shapes: Shapes) -> Link:
    if ours == "pos_embedding" and not file.endswith(("pos_embed", "position_embeddings")):
        return link(file, ours, part_shape=(-1, shapes[ours][-1]))  # without the leading one, of any length
    if ours == "cls" and file.endswith("class_embedding"):
        return link(file, ours, part_shape=shapes["pos_embedding"][-1:])
    return link(file, ours)


def layer_links(file: str, ours: str | tuple[str, ...], shapes: Shapes) -> Iterator[Link]:
    """Yields the links of a layer's weight and bias, where the tower has them."""
    layers = (ours,) if isinstance(ours, str) else ours
    dot = "" if file.endswith("_") else "."
    if f"{layers[0]}/scale" in shapes:
        yield link(f"{file}{dot}weight", *(f"{layer}/scale" for layer in layers))
        if f"{layers[0]}/bias" in shapes:
            yield link(f"{file}{dot}bias", *(f"{layer}/bias" for layer in layers))
    if f"{layers[0]}/kernel" not in shapes:
        return
    shape = shapes[f"{layers[0]}/kernel"]
    kernels = tuple(f"{layer}/kernel" for layer in layers)
    if layers[0] == "embedding":
        yield link(f"{file}{dot}weight", *kernels, axes=(2, 3, 1, 0))
    else:
        num_inputs = math.prod(shape[:-1]) if layers[0].endswith("/out") else shape[0]
        num_outputs = math.prod(shape) // num_inputs
        yield link(f"{file}{dot}weight", *kernels, axes=(1, 0), part_shape=(num_outputs, num_inputs))
    if f"{layers[0]}/bias" in shapes:
        biases = tuple(f"{layer}/bias" for layer in layers)
        yield link(f"{file}{dot}bias", *biases, part_shape=(math.prod(shapes[biases[0]]),))
