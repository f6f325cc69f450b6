"""The names of T5's encoder in transformers' files, alone or beside a decoder, which is dropped.

Source: transformers, models/t5/modeling_t5.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lit_precompute.towers.text.t5.options import T5TextOptions
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

_BLOCK = re.compile(r"blocks/(\d+)/(.*)")
_TOKENS = "shared.weight"
_OUTSIDE = {
    "token_embedding/embedding": _TOKENS,
    "final_norm/scale": "encoder.final_layer_norm.weight",
}
_ATTENTION, _PERCEPTRON = "layer.0.SelfAttention", "layer.1.DenseReluDense"
_INSIDE = {
    "relative_positions/embedding": f"{_ATTENTION}.relative_attention_bias.weight",
    "attention_norm/scale": "layer.0.layer_norm.weight",
    "attention/query/kernel": f"{_ATTENTION}.q.weight",
    "attention/key/kernel": f"{_ATTENTION}.k.weight",
    "attention/value/kernel": f"{_ATTENTION}.v.weight",
    "attention/out/kernel": f"{_ATTENTION}.o.weight",
    "perceptron_norm/scale": "layer.1.layer_norm.weight",
    "perceptron/gate/kernel": f"{_PERCEPTRON}.wi_0.weight",
    "perceptron/out/kernel": f"{_PERCEPTRON}.wo.weight",
}


def namings(options: T5TextOptions, shapes: Mapping[str, tuple[int, ...]]) -> list[Naming]:
    """Returns transformers' names for a tower with these parameters; pooling and head, which it lacks, have ours."""
    return [
        Naming(
            name="transformers",
            links=[_link(options, name, shape) for name, shape in shapes.items()],
            # Models with a classifier have the encoder under this name.
            roots=("transformer.",),
            copies=((_TOKENS, ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")),),
            dropped=(r"decoder\..*", r"lm_head\..*", r"(classifier|classification_head|qa_outputs)\..*"),
        )
    ]


def _link(options: T5TextOptions, name: str, shape: tuple[int, ...]) -> Link:
    if found := _BLOCK.fullmatch(name):
        number, inner = found.groups()
        into = "wi_1" if options.feed_forward == "gated_gelu" else "wi"
        file = (
            f"encoder.block.{number}." + (_INSIDE | {"perceptron/into/kernel": f"{_PERCEPTRON}.{into}.weight"})[inner]
        )
    else:
        file = _OUTSIDE.get(name, name)
    if file == name or not name.endswith("/kernel"):
        return link(file, name)
    if "/attention/" not in name:
        return link(file, name, axes=(1, 0))
    inner = options.num_heads * options.head_width
    torchs = (options.width, inner) if name.endswith("/out/kernel") else (inner, options.width)
    return link(file, name, axes=(1, 0), part_shape=torchs)
