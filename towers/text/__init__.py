"""Text towers: from rows of token ids to embeddings."""

from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.text.registry import make_text_tower, register_text_tower
from lit_precompute.towers.text.vit.options import ViTTextOptions

__all__ = ["TextTowerOptions", "ViTTextOptions", "make_text_tower", "register_text_tower"]
