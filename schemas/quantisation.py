"""Vectors as signed bytes: each row is divided by a scale of its own and rounded.

Promises: scale = max|x| / 127, but never below the smallest normal float32; number = x / scale, rounded to nearest even
and within -127..127; number * scale is off by half a scale at most (and a last bit of float32). All of it is float32
arithmetic as IEEE 754 defines it, so that every machine stores the same bytes. A row of zeros reads back as zeros.

Rows that are not finite give bytes without a meaning: who stores them checks before.
"""

from typing import Any

import numpy as np

LARGEST = 127
# Below it float32 loses digits and many devices take numbers for zero: a quotient by such a scale could exceed 127.
SMALLEST_SCALE = np.finfo(np.float32).smallest_normal


def quantise(vectors: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Returns (int8 [n, D], float32 scales [n]) of float32 vectors [n, D]."""
    with np.errstate(invalid="ignore"):
        scales = np.maximum(np.abs(vectors).max(axis=1, initial=0) / np.float32(LARGEST), SMALLEST_SCALE)
        return np.rint(vectors / scales[:, None]).astype(np.int8), scales


def dequantise(numbers: np.ndarray[Any, Any], scales: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns float32 [n, D] of int8 numbers [n, D] and their scales [n]."""
    return numbers.astype(np.float32) * scales[:, None]
