"""Rotary positions of DINOv3: the angles by which queries and keys of the patches turn.

Source: transformers, models/dinov3_vit/modeling_dinov3_vit.py, DINOv3ViTRopePositionEmbedding.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32


def angles(grid: int, head_width: int, base: float) -> Float32[np.ndarray, "{grid}**2 {head_width}//2"]:
    """Returns the angles in radians, for each patch and each pair of a head's numbers: first by row, then by column.

    Patches' centres are between -1 and 1 along both sides, so that the angles' range does not depend on the resolution.

    Args:
      grid: patches along a side.
      head_width: length of a head's queries; a multiple of 4.
      base: the periods are its powers with exponents from 0 up to, but without, 1.
    """
    # In float32 throughout, as the oracle computes them.
    exponents = np.arange(0, head_width, 4, dtype=np.float32) / np.float32(head_width)
    frequencies = 1 / np.float32(base) ** exponents
    centres = 2 * (np.arange(grid, dtype=np.float32) + np.float32(0.5)) / np.float32(grid) - 1
    by_place = np.float32(2 * math.pi) * centres[:, None] * frequencies  # [grid, head_width / 4]
    rows, columns = np.repeat(by_place, grid, axis=0), np.tile(by_place, (grid, 1))
    return np.concatenate([rows, columns], axis=1)
