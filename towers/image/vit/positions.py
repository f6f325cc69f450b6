"""Position embeddings of a Vision Transformer: to another grid, or computed.

Source: linear: scipy.ndimage.zoom(order=1), as big_vision/models/vit.py calls it; bilinear and bicubic: torch's
interpolate with align_corners=False, whose cubic kernel has a = -0.75 (with antialias -0.5, as Pillow's); sines:
big_vision's posemb_sincos_2d and facebookresearch/moco-v3, vits.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Shaped

from lit_precompute.towers.image.vit.config import ViTConfig
from lit_precompute.towers.weights.links import Arrays


def fit(config: ViTConfig, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the positions for the configuration's grid, where the file has none or those of another."""
    tokens = int(config.class_token)
    table = parameters.get("pos_embedding")
    if config.positions != "learned" and (table is None or table.shape[1:2] != (tokens + config.grid**2,)):
        return {"pos_embedding": sines(config)}
    return fit_learned(parameters, tokens, config.grid, config.position_resize)


def fit_learned(parameters: Arrays, tokens: int, grid: int, method: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns learned positions for another grid, where it is one; those of the first `tokens` tokens are kept."""
    table = parameters.get("pos_embedding")
    if table is None or table.ndim != 3 or table.shape[0] != 1:
        return {}  # `match_shapes` names the fault
    num_patches = table.shape[1] - tokens
    if num_patches < 1 or math.isqrt(num_patches) ** 2 != num_patches or num_patches == grid**2:
        return {}
    resized = resize_positions(table[:, tokens:], grid, method)
    return {"pos_embedding": np.concatenate([table[:, :tokens], resized], axis=1, dtype=np.float32)}


def resize_positions(
    table: Float[np.ndarray, "1 old_patches width"], grid: int, method: str = "linear"
) -> Float32[np.ndarray, "1 {grid}**2 width"]:
    """Returns the position embeddings of a square grid for one of `grid` x `grid`."""
    old = math.isqrt(table.shape[1])
    shares = _shares(old, grid, method)
    square = table.reshape(old, old, -1).astype(np.float64)
    resized = np.einsum("ya,xb,abd->yxd", shares, shares, square, optimize=True)
    return resized.reshape(1, grid * grid, -1).astype(np.float32)


def _shares(old: int, new: int, method: str) -> np.ndarray:
    """Returns [new, old]: how much of each old row a new row takes."""
    if method == "linear":
        positions = np.linspace(0, old - 1, new)
        return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(old)))
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    if method == "bilinear":
        return np.maximum(0, 1 - np.abs(centres.clip(0, old - 1)[:, None] - np.arange(old)))
    if method == "bicubic":
        # Rows outside the grid repeat its border: each gives its share to the nearest row inside.
        first = np.floor(centres).astype(int) - 1
        taken = first[:, None] + np.arange(4)
        shares = np.zeros((new, old))
        np.add.at(shares, (np.arange(new)[:, None], taken.clip(0, old - 1)), _cubic(centres[:, None] - taken, -0.75))
        return shares
    # The filter is as wide as the step between new rows; what falls outside is dropped, the rest scaled to sum to one.
    scale = max(old / new, 1.0)
    distances = (centres[:, None] - np.arange(old)) / scale
    shares = _cubic(distances, -0.5)
    return shares / shares.sum(axis=1, keepdims=True)


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(distance)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def sines(config: ViTConfig) -> Float32[np.ndarray, "1 tokens {config.width}"]:
    """Returns the table of sines and cosines of rows and columns; the class token's row is zero."""
    grid, quarter = config.grid, config.width // 4
    # big_vision spaces the frequencies from 1 to 1/10,000 inclusive; MoCo-v3 stops one step earlier.
    steps = quarter - 1 if config.positions == "sine" else quarter
    frequencies = 10_000.0 ** -(np.arange(quarter) / steps)
    rows, columns = np.mgrid[:grid, :grid].reshape(2, -1, 1) * frequencies
    by_row: list[Callable[[], np.ndarray]] = [lambda: np.sin(rows), lambda: np.cos(rows)]
    by_column: list[Callable[[], np.ndarray]] = [lambda: np.sin(columns), lambda: np.cos(columns)]
    order = by_column + by_row if config.positions == "sine" else by_row + by_column
    table = np.concatenate([part() for part in order], axis=1)
    return np.concatenate([np.zeros((int(config.class_token), config.width)), table]).astype(np.float32)[None]
