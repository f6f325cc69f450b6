"""Made the datasets beside it, once, on 2026-11-28: format version 3. Never make them anew.

    python -m tests.golden.dataset_v3.make DIRECTORY

`base` has shards of 5, 0 and 2 rows in blocks of 4: a file of several blocks, none, and of one block; the middle shard
has nothing but a failure, the last one no failures. `derived` has tables of its own beside some of `base`.

Versions then: lit-precompute 0.1.0, pyarrow 25.0.1, array-record 0.8.6, numpy 2.4.6.
"""

import pathlib
import sys

import numpy as np

from lit_precompute.schemas import (
    ColumnSchema,
    Environment,
    Manifest,
    Note,
    Reference,
    ShardInfo,
    ShardWriter,
    SourceFile,
    SourceInfo,
    TableSchema,
    TowerCard,
    captions_table,
    embeddings_table,
    failures_table,
    labels_table,
    publish_manifest,
)
from lit_precompute.schemas.probes import ProbeSampler

BLOCK_ROWS = 4
ROWS = [slice(0, 5), slice(5, 5), slice(5, 7)]  # of each shard
FAILED = [["broken.jpg"], ["late.jpg", "later.jpg"], []]  # keys, of each shard
KEYS = ["first.jpg", "zweites.png", "第三.webp", "fourth.gif", "fifth.jpg", "sixth.jpg", "seventh.jpg"]
TEXTS = [["a red square", "a square"], [], ["drei ☂"], ["four"], [""], ["six"], ["seven", "7"]]
TITLES = [["Red"], ["Zwei"], [], ["Four"], [], ["Six", "VI"], []]
TAGS = [[], ["a", "b"], ["☂"], [], [], [], ["prime"]]
LABELS = ["0", "1", "-1", "4", "", "6", "7"]
# int8 with scale 1; zeros; two halves on the way to int8, one up and one down; and some that every smaller type rounds.
VECTORS = np.array(
    [
        [127, -64, 1],
        [0, 0, 0],
        [0.25, -0.75, 63.5],
        [1 / 3, 2 / 3, -1],
        [1e-3, -2e-3, 3.14159e-3],
        [1, 2, 254],
        [-0.5, 0.5, -0.5],
    ],
    np.float32,
)
# What is stored, worked out by hand: x / (max / 127), halves to even.
INT8 = np.array(
    [[127, -64, 1], [0, 0, 0], [0, -2, 127], [42, 85, -127], [40, -81, 127], [0, 1, 127], [-127, 127, -127]], np.int8
)
SCALES = [1, 2.0**-126, 0.5, 1 / 127, 3.14159e-3 / 127, 2, 0.5 / 127]
FLIPPED = np.array([[row, -row / 2] for row in range(7)], np.float32)  # exact in float16
LARGER = np.array([[1 + row / 128] * 4 for row in range(7)], np.float32)  # exact in bfloat16
DUTCH = [[f"tekst {row}"] for row in range(7)]
CLASSES = "red\nzwei\ndrei ☂\n".encode()
CPU = Environment(device="cpu", libraries={"array-record": "0.8.6", "numpy": "2.4.6", "pyarrow": "25.0.1"})
GPU = Environment(device="NVIDIA H100 80GB HBM3", libraries={**CPU.libraries, "jax": "0.10.0"})

FLIP = embeddings_table(2, "float16", "embeddings-flip")
LARGE = embeddings_table(4, "bfloat16", "embeddings-large")
BASE_TABLES = [
    embeddings_table(3, "int8"),
    FLIP,
    captions_table(["title", "tags"]),
    labels_table(),
    failures_table(),
]
TRANSLATIONS = TableSchema(
    name="captions-nl",
    columns=[ColumnSchema(name="key", type="string"), ColumnSchema(name="texts_nl", type="list<string>")],
)


def tower(name: str, width: int) -> TowerCard:
    """Returns a card that tells towers apart by name and width."""
    return TowerCard(
        name=name,
        architecture={"family": "golden", "depth": 2},
        weights_sha256="0123456789abcdef" * 4,
        preprocessing={"size": 8, "value_range": {"kind": "scale", "low": -1.0, "high": 1.0}},
        output_width=width,
        pooling="average",
        num_parameters=12,
        fingerprint=f"{width:x}" * 64,
    )


def make_base(directory: pathlib.Path) -> Manifest:
    """Writes the dataset that has all its files."""
    probes = ProbeSampler()
    shards: list[ShardInfo] = []
    for number, (rows, failed, environment) in enumerate(zip(ROWS, FAILED, [GPU, GPU, CPU], strict=True)):
        with ShardWriter(
            directory,
            shard=number,
            tables=BASE_TABLES,
            block_rows=BLOCK_ROWS,
            probes=probes,
            environment=environment,
        ) as writer:
            writer.append_rows(
                KEYS[rows],
                {
                    "embeddings": {"embedding": VECTORS[rows]},
                    "embeddings-flip": {"embedding": FLIPPED[rows]},
                    "captions": {"texts": TEXTS[rows], "title": TITLES[rows], "tags": TAGS[rows]},
                    "labels": {"label": LABELS[rows]},
                },
            )
            columns = {"key": failed, "source": failed, "reason": ["empty"] * len(failed)}
            writer.append("failures", {**columns, "message": ["the file has no bytes"] * len(failed)})
            shards.append(writer.finish())
    files = [SourceFile(path="golden/ä.tsv", bytes=99), SourceFile(path="golden/b.tsv", bytes=1, sha256="b" * 64)]
    return publish_manifest(
        directory,
        shards=shards,
        tables=BASE_TABLES,
        towers={"embeddings": tower("golden", 3), "embeddings-flip": tower("golden-flip", 2)},
        source=SourceInfo(kind="table", path="golden/*.tsv", files=files, options={"format": "tsv"}),
        probes=probes.draw(3),
        notes=[Note(what="text is not a string", count=2, first="zweites.png")],
        job={"producer": "golden", "batch_size": 8},
        block_rows=BLOCK_ROWS,
        attachments={"classes.txt": CLASSES},
    )


def make_derived(directory: pathlib.Path, base: Manifest) -> Manifest:
    """Writes the dataset that refers to `base`."""
    own = [LARGE, TRANSLATIONS]
    referenced = [
        table.model_copy(update={"reference": 0})
        for table in base.tables
        if table.name in ("embeddings", "captions", "failures")
    ]
    probes = ProbeSampler()
    shards: list[ShardInfo] = []
    for number, rows in enumerate(ROWS):
        with ShardWriter(
            directory, shard=number, tables=own, block_rows=BLOCK_ROWS, probes=probes, environment=CPU
        ) as writer:
            probes.add(KEYS[rows], VECTORS[rows])
            large, dutch = {"embedding": LARGER[rows]}, {"texts_nl": DUTCH[rows]}
            writer.append_rows(KEYS[rows], {"embeddings-large": large, "captions-nl": dutch})
            info, before = writer.finish(), base.shards[number]
        theirs = {table.name: before.files[table.name] for table in referenced if table.name in before.files}
        shards.append(before.model_copy(update={"files": theirs | info.files, "environment": CPU}))
    return publish_manifest(
        directory,
        shards=shards,
        tables=[*referenced, *own],
        towers={"embeddings": base.tower, "embeddings-large": tower("golden-large", 4)},
        source=base.source.info(),
        probes=probes.draw(2),
        block_rows=BLOCK_ROWS,
        references=[Reference(path="../base", digest=base.digest)],
    )


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    make_derived(folder / "derived", make_base(folder / "base"))
