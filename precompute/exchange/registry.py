"""The layouts, by name. A new one is a module and an entry here."""

from __future__ import annotations

from lit_precompute.precompute.exchange.layout import Layout
from lit_precompute.precompute.exchange.layouts import clip_retrieval, datacomp, npy, tfrecord
from lit_precompute.precompute.exchange.layouts.columns import huggingface, parquet

LAYOUTS: dict[str, Layout] = {
    each.LAYOUT.name: each.LAYOUT for each in (clip_retrieval, datacomp, tfrecord, parquet, huggingface, npy)
}
