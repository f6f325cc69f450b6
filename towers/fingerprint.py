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


def hash_weights(parameters: Mapping[str, Shaped[np.ndarray, "..."]]) -> str:
    """Returns the SHA-256, in hexadecimal, of parameters' names, shapes and values as float32."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        values = np.ascontiguousarray(parameters[name], "<f4")
        # The header is a line of JSON without line breaks, so no two sets of parameters give the same stream of bytes.
        digest.update(canonical_json([name, "float32", list(parameters[name].shape)]) + b"\n")
        digest.update(values.data.cast("B") if values.size else b"")
    return digest.hexdigest()


def fingerprint(architecture: Mapping[str, Any], preprocessing: Mapping[str, Any], weights_sha256: str) -> str:
    """Returns the SHA-256, in hexadecimal, of everything that an embedding depends on except the image."""
    parts = {
        "architecture": dict(architecture),
        "preprocessing": dict(preprocessing),
        "weights_sha256": weights_sha256,
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()
