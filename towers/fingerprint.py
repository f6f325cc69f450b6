"""Fingerprints: two towers with equal fingerprints give interchangeable embeddings.

Promises: weights are hashed as names, shapes and float32 values, so that the hash does not depend on the file's format,
order or path, nor on the machine. The fingerprint adds the architecture and the preprocessing. Not in it: the tower's
name, the batch size, the device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped


def canonical_json(value: Any) -> bytes:
    """Returns the canonical spelling of a JSON value: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


class WeightsHash:
    """The SHA-256 of parameters' names, shapes and values as float32, added one by one in the order of their names."""

    def __init__(self) -> None:
        """Starts with no parameters."""
        self._digest, self._last = hashlib.sha256(), ""

    def add(self, name: str, values: Shaped[np.ndarray, "..."]) -> None:
        """Adds a parameter, whose name must sort after the last one's."""
        assert not self._last or name > self._last, (name, self._last)
        self._last = name
        # The header is a line of JSON without line breaks, so no two sets of parameters give the same stream of bytes.
        self._digest.update(canonical_json([name, "float32", list(values.shape)]) + b"\n")
        flat = np.ascontiguousarray(values, "<f4")
        self._digest.update(flat.data.cast("B") if flat.size else b"")

    def hexdigest(self) -> str:
        """Returns the hash of what was added, in hexadecimal."""
        return self._digest.hexdigest()


def hash_weights(parameters: Mapping[str, Shaped[np.ndarray, "..."]]) -> str:
    """Returns the SHA-256, in hexadecimal, of parameters' names, shapes and values as float32."""
    digest = WeightsHash()
    for name in sorted(parameters):
        digest.add(name, parameters[name])
    return digest.hexdigest()


def fingerprint(architecture: Mapping[str, Any], preprocessing: Mapping[str, Any], weights_sha256: str) -> str:
    """Returns the SHA-256, in hexadecimal, of everything that an embedding depends on except the image."""
    parts = {
        "architecture": dict(architecture),
        "preprocessing": dict(preprocessing),
        "weights_sha256": weights_sha256,
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()
