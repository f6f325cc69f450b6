"""Text towers: from rows of token ids to embeddings."""

from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.options import TextTowerOptions, TransformerOptions
from lit_precompute.towers.text.registry import (
    make_text_tower,
    register_config,
    register_text_entry,
    register_text_tower,
    resolve_text_tower,
    text_towers,
)
from lit_precompute.towers.text.stored.options import StoredTextOptions
from lit_precompute.towers.text.t5.options import T5TextOptions
from lit_precompute.towers.text.vit.options import ViTTextOptions

__all__ = [
    "BertTextOptions",
    "StoredTextOptions",
    "T5TextOptions",
    "TextEntry",
    "TextTowerOptions",
    "TransformerOptions",
    "ViTTextOptions",
    "make_text_tower",
    "register_config",
    "register_text_entry",
    "register_text_tower",
    "resolve_text_tower",
    "text_towers",
]
