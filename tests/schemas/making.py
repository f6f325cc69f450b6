"""Small datasets for tests."""

import hashlib
import json

import numpy as np
import pyarrow as pa

from lit_precompute.schemas import (
    ColumnSchema,
    DatasetWriter,
    EmbeddingDataset,
    Manifest,
    ShardWriter,
    SourceInfo,
    TableSchema,
    TowerCard,
    blocks,
    captions_table,
    labels_table,
    publish_manifest,
)
from lit_precompute.schemas.manifest.document import digest
from lit_precompute.schemas.storage import JOB_REPORT_NAME

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
        with ShardWriter(directory, shard=shard.shard, tables=[table], block_rows=manifest.block_rows) as writer:
            own = {name: values[cut] for name, values in columns.items()}
            writer.append_rows(keys[cut], {table.name: own})
            files = writer.finish().files
        shards.append(shard.model_copy(update={"files": shard.files | files}))
        start = cut.stop
    return publish_manifest(
        directory,
        shards=shards,
        tables=[*manifest.tables, table],
        towers=manifest.towers,
        source=manifest.source.info(),
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


def change_list(directory, what, change, *, schema=None):
    """Edits the columns of a list beside the manifest, which then names the new list."""
    content = json.loads((directory / "manifest.json").read_text())
    info = content["lists"][what]
    path = directory / f"{what}-{info['sha256'][:16]}.arrow"
    with pa.ipc.open_stream(path.read_bytes()) as stream:
        batch = stream.read_next_batch()
    columns = batch.to_pydict()
    change(columns)
    batch = pa.RecordBatch.from_pydict(columns, schema=schema or batch.schema)
    path.unlink()
    replace_list(directory, what, blocks.encode(batch, compress=True))


def replace_list(directory, what, data):
    """Writes these bytes as a list beside the manifest, which then names it."""
    sha256 = hashlib.sha256(data).hexdigest()
    (directory / f"{what}-{sha256[:16]}.arrow").write_bytes(data)
    change_manifest(directory, lambda m: m["lists"].update({what: {"bytes": len(data), "sha256": sha256}}))


def files_of(directory):
    """Returns every file's bytes by relative path, but for the report of the job: two runs differ in it."""
    files = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name != JOB_REPORT_NAME}
