"""Made the datasets beside it, once, on 2026-11-28: format version 3, one of each vector type. Never make them anew.

    python -m tests.golden.dataset_v3.make DIRECTORY

Versions then: lit-precompute 0.1.0, pyarrow 25.0.1, array-record 0.8.6, numpy 2.4.6.
"""

import pathlib
import sys

import numpy as np

from lit_precompute.schemas import DatasetWriter, SourceFile, SourceInfo, TowerCard, VectorType, captions_table
from lit_precompute.schemas.vectors import VECTOR_TYPES

KEYS = ["first.jpg", "zweites.png", "第三.webp", "fourth.gif", "fifth.jpg"]
TEXTS = [["a red square", "a square"], [], ["drei ☂"], ["four"], [""]]
# Exact as int8 with scale 1; zeros; two halves on the way to int8, one up and one down; and two that every smaller type
# rounds.
VECTORS = np.array(
    [[127, -64, 1], [0, 0, 0], [0.25, -0.75, 63.5], [1 / 3, 2 / 3, -1], [1e-3, -2e-3, 3.14159e-3]], np.float32
)
# What is stored, worked out by hand: x / (max / 127), halves to even.
INT8 = np.array([[127, -64, 1], [0, 0, 0], [0, -2, 127], [42, 85, -127], [40, -81, 127]], np.int8)


def make(directory: pathlib.Path, vector_type: VectorType) -> None:
    """Writes the five rows and one failure as one shard, four rows a block."""
    tower = TowerCard(
        name="golden",
        architecture={"family": "golden", "depth": 2},
        weights_sha256="0123456789abcdef" * 4,
        preprocessing={"size": 8, "value_range": {"kind": "scale", "low": -1.0, "high": 1.0}},
        output_width=3,
        pooling="average",
        num_parameters=12,
        fingerprint="fedcba9876543210" * 4,
    )
    source = SourceInfo(kind="table", path="golden.tsv", files=[SourceFile(path="golden.tsv", bytes=99)], options={})
    options = {"tables": [captions_table()], "vector_type": vector_type, "block_rows": 4}
    with DatasetWriter(directory, tower=tower, source=source, **options) as writer:
        writer.write(keys=KEYS, embeddings=VECTORS, columns={"captions": {"texts": TEXTS}})
        writer.fail(key="sixth.jpg", source="sixth.jpg", reason="empty", message="the file has no bytes")
        writer.note("text is not a string: ignored", first="zweites.png", count=2)


if __name__ == "__main__":
    for name in VECTOR_TYPES:
        make(pathlib.Path(sys.argv[1]) / name, name)
