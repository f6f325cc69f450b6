"""Heads: trained layers over the embeddings of a frozen tower, for the image side and the text side alike."""

from lit_precompute.towers.heads.options import (
    GatedHeadOptions,
    HeadOptions,
    LinearHeadOptions,
    MLPHeadOptions,
    NoHeadOptions,
    ResidualHeadOptions,
)

__all__ = [
    "GatedHeadOptions",
    "HeadOptions",
    "LinearHeadOptions",
    "MLPHeadOptions",
    "NoHeadOptions",
    "ResidualHeadOptions",
]
