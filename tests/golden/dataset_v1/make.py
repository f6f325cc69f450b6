"""Made the datasets beside it, once, on 2026-11-24: format version 1, one of each vector type. Never make them anew.

    python -m tests.golden.dataset_v1.make DIRECTORY

Versions then: lit-precompute 0.1.0, pyarrow 25.0.1, array-record 0.8.6, numpy 2.4.6.
"""

import pathlib
import sys

import numpy as np

from lit_precompute.schemas import (
    DatasetWriter,
    SourceFile,
    SourceInfo,
    TowerCard,
    VectorType,
    captions_table,
    labels_table,
)

KEYS = ["first.jpg", "zweites.png", "第三.webp", "fourth.gif", "fifth.jpg"]
TEXTS = [["a red square", "a square"], [], ["drei ☂"], ["four"], [""]]
LABELS = ["square", "", "umbrella", "4", "square"]
# Exact in every type.
VECTORS = np.array([[0, 1, -2], [0.5, -0.25, 4], [8, 16, 32], [-1.5, 0.125, 64], [2, 2, -2]], np.float32)


def make(directory: pathlib.Path, vector_type: VectorType) -> None:
    """Writes the five rows and one failure, three rows a shard, two a block."""
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
    options = {"tables": [captions_table(), labels_table()], "vector_type": vector_type}
    with DatasetWriter(directory, tower=tower, source=source, rows_per_shard=3, block_rows=2, **options) as writer:
        columns = {"captions": {"texts": TEXTS}, "labels": {"label": LABELS}}
        writer.write(keys=KEYS, embeddings=VECTORS, columns=columns)
        writer.fail(key="sixth.jpg", source="sixth.jpg", reason="empty", message="the file has no bytes")


if __name__ == "__main__":
    for name in ("float32", "float16", "bfloat16"):
        make(pathlib.Path(sys.argv[1]) / name, name)
