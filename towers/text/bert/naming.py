"""The names of the parameters of BERT and its relatives in files: big_vision's, and transformers' of each model.

Left out: BERT's `pooler` and whatever heads were trained on top (masked language modelling, classifiers).

Source: transformers, models/bert, roberta, xlm_roberta and distilbert; flaxformer, architectures/bert, whose encoder
the public LiT models have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.weights.links import Link, link
from lit_precompute.towers.weights.naming import Naming

_BLOCK = re.compile(r"blocks/(\d+)/(.*)/(\w+)")

_BIG_VISION = {
    "token_embedding": "embedder/embedders_token_ids",
    "position_embedding": "embedder/embedders_position_ids",
    "segment_embedding": "embedder/embedders_segment_ids",
    "embedding_norm": "layer_norm",
}
_BIG_VISION_BLOCKS = {
    "attention/query": "attention_block/attention_layer/query",
    "attention/key": "attention_block/attention_layer/key",
    "attention/value": "attention_block/attention_layer/value",
    "attention/out": "attention_block/dense_layer",
    "attention_norm": "attention_block/layer_norm",
    "perceptron_in": "mlp_block/mlp/dense_layer",
    "perceptron_out": "mlp_block/dense_layer",
    "perceptron_norm": "mlp_block/layer_norm",
}
_TRANSFORMERS = {
    "token_embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "segment_embedding": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
_BERT_BLOCKS = {
    "attention/query": "attention.self.query",
    "attention/key": "attention.self.key",
    "attention/value": "attention.self.value",
    "attention/out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "perceptron_in": "intermediate.dense",
    "perceptron_out": "output.dense",
    "perceptron_norm": "output.LayerNorm",
}
_DISTILBERT_BLOCKS = {
    "attention/query": "attention.q_lin",
    "attention/key": "attention.k_lin",
    "attention/value": "attention.v_lin",
    "attention/out": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "perceptron_in": "ffn.lin1",
    "perceptron_out": "ffn.lin2",
    "perceptron_norm": "output_layer_norm",
}
# Google's first files, and those converted from them.
_OLD_SPELLINGS = ((r"\.gamma$", ".weight"), (r"\.beta$", ".bias"))
# Position numbers that old versions saved, and the layers of tasks.
_DROPPED = (
    r"embeddings\.(position_ids|token_type_ids)",
    r"(pooler|cls|lm_head|classifier|pre_classifier|qa_outputs|score|logit_scale)\b.*",
    r"(vocab_transform|vocab_layer_norm|vocab_projector)\..*",
)


def namings(options: BertTextOptions, shapes: Mapping[str, tuple[int, ...]]) -> list[Naming]:
    """Returns big_vision's names and those of transformers' model, for a tower with these parameters."""
    is_distilbert = options.num_segments == 0
    blocks, folder = (_DISTILBERT_BLOCKS, "transformer.layer") if is_distilbert else (_BERT_BLOCKS, "encoder.layer")
    return [
        Naming(
            name="big_vision",
            links=[link(_in_big_vision(name), name) for name in shapes],
            roots=("params/", "opt/target/", "txt/"),
        ),
        Naming(
            name="transformers",
            links=[_torch_link(name, shape, blocks, folder) for name, shape in shapes.items()],
            roots=("distilbert.",) if is_distilbert else ("bert.", "roberta."),
            dropped=_DROPPED,
            spellings=_OLD_SPELLINGS,
        ),
    ]


def _in_big_vision(name: str) -> str:
    if found := _BLOCK.fullmatch(name):
        number, layer, leaf = found.groups()
        layer = _BIG_VISION_BLOCKS[layer]
        return f"BertEncoder_0/encoder_block/layer_sequence/layers_{number}/{layer}/{leaf}"
    layer, _, leaf = name.rpartition("/")
    return f"BertEncoder_0/{_BIG_VISION[layer]}/{leaf}" if layer in _BIG_VISION else name


def _torch_link(name: str, shape: tuple[int, ...], blocks: Mapping[str, str], folder: str) -> Link:
    layer, _, leaf = name.rpartition("/")
    if found := _BLOCK.fullmatch(name):
        theirs = f"{folder}.{found[1]}.{blocks[found[2]]}"
    elif layer in _TRANSFORMERS:
        theirs = _TRANSFORMERS[layer]
    else:
        return link(name, name)  # a head or a pooling of ours
    field = "bias" if leaf == "bias" else "weight"
    return link(f"{theirs}.{field}", name, axes=(1, 0) if leaf == "kernel" else ())
