"""Fingerprints: two towers with equal fingerprints give interchangeable embeddings.

Promises: the hash of the weights is taken of names, shapes and float32 values, so that it does not change with the
file's format, its order, its path or the machine. The fingerprint adds what is computed (architecture) and on what
(preprocessing). Not in it: the tower's name, batch size, device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped


def canonical_json(value: Any) -> bytes:
    """Returns the one spelling of a JSON value: sorted keys, no spaces, ASCII alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def hash_weights(parameters: Mapping[str, Shaped[np.ndarray, "..."]]) -> str:
    """Returns the SHA-256, in hexadecimal, of parameters' names, shapes and values as float32."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        values = np.ascontiguousarray(parameters[name], "<f4")
        # The header is a line of JSON, which holds no line break: no two sets of parameters make one stream of bytes.
        digest.update(canonical_json([name, "float32", list(parameters[name].shape)]) + b"\n")
        digest.update(values.data.cast("B") if values.size else b"")
    return digest.hexdigest()


def fingerprint(architecture: Mapping[str, Any], preprocessing: Mapping[str, Any], weights_sha256: str) -> str:
    """Returns the SHA-256, in hexadecimal, of everything that an embedding depends on but the picture."""
    parts = {
        "architecture": dict(architecture),
        "preprocessing": dict(preprocessing),
        "weights_sha256": weights_sha256,
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()
