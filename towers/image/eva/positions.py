"""Positions of an EVA-02 or a Perception Encoder: learned ones for another grid, and the angles of rotary ones.

Source: timm 1.0.31, timm/layers/pos_embed_sincos.py (RotaryEmbeddingCat) and pos_embed.py.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Shaped

from lit_precompute.towers.image.eva.config import EvaConfig
from lit_precompute.towers.image.vit.positions import fit_learned
from lit_precompute.towers.weights.links import Arrays

_BASE = 10_000.0


def fit(config: EvaConfig, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the parameters with learned positions for the configuration's grid."""
    return fit_learned(parameters, int(config.class_token), config.grid, config.position_resize)


def angles(config: EvaConfig) -> Float64[np.ndarray, "patches pairs"]:
    """Returns, in radians, the angle of each pair of a head's numbers at each patch."""
    count = config.width // config.num_heads // 4
    frequencies = _BASE ** -(np.arange(count) / count)
    places = np.arange(config.grid, dtype=np.float64) + config.rotary_start
    if config.rotary_grid:
        places *= config.rotary_grid / config.grid
    rows, columns = (each.reshape(-1, 1) * frequencies for each in np.meshgrid(places, places, indexing="ij"))
    return np.concatenate([rows, columns] if config.rotary == "rows_first" else [columns, rows], axis=1)
