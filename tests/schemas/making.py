"""Small datasets for tests."""

import json

import numpy as np

from lit_precompute.schemas import (
    ColumnSchema,
    DatasetWriter,
    EmbeddingDataset,
    Manifest,
    ShardWriter,
    SourceInfo,
    TableSchema,
    TowerCard,
    captions_table,
    labels_table,
    publish_manifest,
)
from lit_precompute.schemas.manifest.document import digest

WIDTH = 6
SOURCE = SourceInfo(kind="table", path="captions.tsv", files=[])
# A table that the package does not know.
TAGS = TableSchema(
    name="tags",
    columns=[ColumnSchema(name="key", type="string"), ColumnSchema(name="tags", type="list<string>")],
)


def card(width=WIDTH, fingerprint="f" * 64):
    return TowerCard(
        name="test-tower",
        architecture={"family": "test"},
        weights_sha256="0" * 64,
        preprocessing={"size": 8},
        output_width=width,
        pooling="average",
        num_parameters=10,
        fingerprint=fingerprint,
    )


def rows(count, width=WIDTH, seed=0):
    """Returns keys, float32 embeddings, texts (0 to 2 per row) and labels."""
    rng = np.random.default_rng(seed)
    keys = [f"image-{row:04d}" for row in range(count)]
    vectors = rng.standard_normal((count, width)).astype(np.float32)
    texts = [[f"text {row}.{place} ☂" for place in range(row % 3)] for row in range(count)]
    return keys, vectors, texts, [str(row % 4) for row in range(count)]


def write(directory, count=50, *, pieces=None, failures=2, **options):
    """Writes a dataset of `count` rows, given to the writer in pieces of these sizes, and returns its manifest."""
    keys, vectors, texts, labels = rows(count)
    options = {"rows_per_shard": 20, "block_rows": 8, "vector_type": "float16"} | options
    options = {"tables": [captions_table(), labels_table()]} | options
    writer = DatasetWriter(directory, tower=card(), source=SOURCE, **options)
    start = 0
    for size in pieces or [count]:
        cut = slice(start, start + size)
        writer.write(
            keys=keys[cut],
            embeddings=vectors[cut],
            columns={"captions": {"texts": texts[cut]}, "labels": {"label": labels[cut]}},
        )
        start += size
    for number in range(failures):
        writer.fail(key=f"bad-{number}", source=f"bad-{number}.jpg", reason="truncated", message="ends early")
    return writer.close()


def add_table(directory, table, columns):
    """Adds a table to a finished dataset: new files, and a manifest over them and the old ones."""
    manifest = Manifest.read(directory)
    with EmbeddingDataset.open(directory) as dataset:
        keys = dataset.keys().to_pylist()
    shards, start = [], 0
    for shard in manifest.shards:
        cut = slice(start, start + shard.num_rows)
        options = {"shard": shard.shard, "num_shards": len(manifest.shards), "block_rows": manifest.block_rows}
        with ShardWriter(directory, tables=[table], **options) as writer:
            own = {name: values[cut] for name, values in columns.items()}
            writer.append_rows(keys[cut], {table.name: own})
            files = writer.finish().files
        shards.append(shard.model_copy(update={"files": shard.files | files}))
        start = cut.stop
    return publish_manifest(
        directory,
        shards=shards,
        tables=[*manifest.tables, table],
        tower=manifest.tower,
        source=manifest.source,
        probes=manifest.probes,
        job=manifest.job,
        block_rows=manifest.block_rows,
    )


def change_manifest(directory, change, *, redigest=True):
    """Edits the manifest's JSON; with a correct digest, so that the rule behind it is what is tested."""
    path = directory / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    if redigest:
        content["digest"] = digest(content)
    path.write_text(json.dumps(content))


def files_of(directory):
    """Returns every file's bytes by relative path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
