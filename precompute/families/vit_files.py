"""The names that Vision Transformers have in files, brought to big_vision's present ones.

Promises: reads big_vision's files (present and scanned layout, with optimiser state or as one half of a two-tower
model), the original and AugReg files (blocks named LayerNorm_2, MultiHeadDotProductAttention_1 and MlpBlock_3,
positions inside the encoder, with a row for the class token), and Hugging Face's ViTModel and
ViTForImageClassification.

Dropped by rule: a classifier (`head/`, `classifier.`); `pre_logits/` and `pooler.dense` unless they are asked for;
beside `params/` or `opt/target/`, and beside `img/` in a two-tower file, everything else. No other array is dropped.

Not here: resizing positions (`vit.fit`), and torch's own ViT namings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

import numpy as np

# Where a file keeps the parameters when it holds more than them, outermost first.
_ROOTS = ("params/", "opt/target/", "img/", "image/")

_OLD_BLOCK_PARTS = {
    "LayerNorm_2": "LayerNorm_1",
    "MultiHeadDotProductAttention_1": "MultiHeadDotProductAttention_0",
    "MlpBlock_3": "MlpBlock_0",
}
_POSITIONS = ("Transformer/posembed_input/pos_embedding", "Transformer/pos_embedding")
# While ViT-G was developed, attention pooling stood at the top of the file.
_MAP_PARTS = ("probe", "LayerNorm_0/", "MultiHeadDotProductAttention_0/", "MlpBlock_0/")

_HUGGING_FACE_TOP = {
    "embeddings.cls_token": "cls",
    "embeddings.position_embeddings": "pos_embedding",
    "embeddings.patch_embeddings.projection.weight": "embedding/kernel",
    "embeddings.patch_embeddings.projection.bias": "embedding/bias",
    "layernorm.weight": "Transformer/encoder_norm/scale",
    "layernorm.bias": "Transformer/encoder_norm/bias",
    "pooler.dense.weight": "pre_logits/kernel",
    "pooler.dense.bias": "pre_logits/bias",
    "classifier.weight": "head/kernel",
    "classifier.bias": "head/bias",
}
_HUGGING_FACE_BLOCK = {
    "layernorm_before": "LayerNorm_0",
    "layernorm_after": "LayerNorm_1",
    "attention.attention.query": "MultiHeadDotProductAttention_0/query",
    "attention.attention.key": "MultiHeadDotProductAttention_0/key",
    "attention.attention.value": "MultiHeadDotProductAttention_0/value",
    "attention.output.dense": "MultiHeadDotProductAttention_0/out",
    "intermediate.dense": "MlpBlock_0/Dense_0",
    "output.dense": "MlpBlock_0/Dense_1",
}


def rename(arrays: Mapping[str, np.ndarray], *, num_heads: int, keep: Collection[str]) -> dict[str, np.ndarray]:
    """Returns a file's arrays under big_vision's names, heads and unused layers dropped.

    Args:
      arrays: as read from the file.
      num_heads: Hugging Face's files do not show it: their projections are plain matrices.
      keep: the parameters that the tower has; `pre_logits/` is dropped unless it is among them.
    """
    arrays = _inside_roots(arrays)
    if any("patch_embeddings.projection" in name for name in arrays):
        renamed = _from_hugging_face(arrays, num_heads)
    else:
        renamed = _unstacked({_present_name(name): array for name, array in arrays.items()})
    renamed = _split_positions(renamed)
    dropped = ("head/",) if "pre_logits/kernel" in keep else ("head/", "pre_logits/")
    return {name: array for name, array in renamed.items() if not name.startswith(dropped)}


def _inside_roots(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    for root in _ROOTS:
        if any(name.startswith(root) for name in arrays):
            arrays = {name.removeprefix(root): array for name, array in arrays.items() if name.startswith(root)}
    return arrays


def _present_name(name: str) -> str:
    """Returns big_vision's present name of a parameter that may have an older one."""
    if name in _POSITIONS:
        return "pos_embedding"
    if name.startswith(_MAP_PARTS):
        return f"MAPHead_0/{name}"
    parts = name.split("/")
    if len(parts) > 2 and parts[1].startswith("encoderblock"):
        parts[2] = _OLD_BLOCK_PARTS.get(parts[2], parts[2])
    return "/".join(parts)


def _unstacked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the scanned layout (all blocks in one array) taken apart; other arrays as they are."""
    result: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name.startswith("Transformer/encoderblock/") and array.ndim:
            inner = name.removeprefix("Transformer/encoderblock/")
            result |= {f"Transformer/encoderblock_{number}/{inner}": block for number, block in enumerate(array)}
        else:
            result[name] = array
    return result


def _split_positions(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns positions without the row of the class token, which is added to the token itself: the sum is the same."""
    table, token = arrays.get("pos_embedding"), arrays.get("cls")
    if table is None or token is None or table.ndim != 3 or token.ndim != 3:
        return arrays
    if math.isqrt(table.shape[1] - 1) ** 2 + 1 != table.shape[1] or table.shape[2] != token.shape[2]:
        return arrays
    joined = np.asarray(token, np.float32) + np.asarray(table[:, :1], np.float32)
    return {**arrays, "cls": joined, "pos_embedding": table[:, 1:]}


def _from_hugging_face(arrays: Mapping[str, np.ndarray], num_heads: int) -> dict[str, np.ndarray]:
    result: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        new = _name_from_hugging_face(name.removeprefix("vit."))
        result[new or name] = array if new is None else _laid_out(new, array, num_heads)
    return result


def _name_from_hugging_face(name: str) -> str | None:
    if name in _HUGGING_FACE_TOP:
        return _HUGGING_FACE_TOP[name]
    found = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
    if not found or found[2] not in _HUGGING_FACE_BLOCK:
        return None
    part = _HUGGING_FACE_BLOCK[found[2]]
    field = "bias" if found[3] == "bias" else "scale" if part.startswith("LayerNorm") else "kernel"
    return f"Transformer/encoderblock_{found[1]}/{part}/{field}"


def _laid_out(name: str, array: np.ndarray, num_heads: int) -> np.ndarray:
    """Returns a torch array laid out as big_vision's: inputs before outputs, heads apart."""
    if name == "embedding/kernel" and array.ndim == 4:
        return np.transpose(array, (2, 3, 1, 0))
    if name.endswith("/kernel") and array.ndim == 2:
        array = array.T
    *_, layer, field = f"/{name}".split("/")  # "cls" stands alone
    splits = layer in ("query", "key", "value") or (layer == "out" and field == "kernel")
    axis = 0 if layer == "out" else array.ndim - 1
    if not splits or array.shape[axis] % num_heads:
        return array
    heads = (num_heads, array.shape[axis] // num_heads)
    return array.reshape(*array.shape[:axis], *heads, *array.shape[axis + 1 :])
