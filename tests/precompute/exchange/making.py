"""Small sources in other projects' layouts, written by those projects' own libraries or by hand; and a dataset."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.precompute.exchange.importing import Declared, import_dataset
from lit_precompute.precompute.exchange.registry import LAYOUTS
from lit_precompute.schemas import (
    ColumnSchema,
    DatasetWriter,
    SourceInfo,
    TableSchema,
    captions_table,
    embeddings_table,
    labels_table,
)
from lit_precompute.schemas.vectors import scale_column
from tests.schemas.making import TAGS, card

WIDTH = 6


def vectors(count, seed=0, kind=np.float32, width=WIDTH):
    """Returns rows that are neither zero nor unusual."""
    return np.random.default_rng(seed).standard_normal((count, width)).astype(kind)


def keys(start, count):
    """Returns keys of rows."""
    return [f"img/{row:04d}" for row in range(start, start + count)]


def source_of(layout, path, rows_per_shard=8, **options):
    """Returns the source of a layout at a path."""
    reading = LAYOUTS[layout].reading
    return reading.open(str(path), reading.options(**options), rows_per_shard)


def imported(layout, path, output, *, rows_per_shard=8, dtype=None, tower="a tower", **options):
    """Imports a source, and returns what came of it."""
    source = source_of(layout, path, rows_per_shard, **options)
    return import_dataset(source, output, Declared(tower=tower, vector_type=dtype), block_rows=4)


def write_clip_retrieval(folder, counts=(10, 7, 12), *, kind=np.float16, columns=None):
    """Writes clip-retrieval's three folders, as many rows a number; returns the image vectors."""
    start, written = 0, []
    for name in ("img_emb", "text_emb", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, count in enumerate(counts):
        images = vectors(count, seed=number, kind=kind)
        np.save(folder / f"img_emb/img_emb_{number}.npy", images)
        np.save(folder / f"text_emb/text_emb_{number}.npy", vectors(count, seed=100 + number, kind=kind))
        table = {"image_path": keys(start, count), "caption": [f"text {row}" for row in range(start, start + count)]}
        schema = pa.schema([("image_path", pa.string()), ("caption", pa.string())])
        pq.write_table(pa.table(table, schema=schema), folder / f"metadata/metadata_{number}.parquet")
        start += count
        written.append(images)
    return np.concatenate(written)


def write_datacomp(folder, counts=(10, 7), save=np.savez):
    """Writes pairs of Parquet and npz; returns the vectors of `l14_img`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, count in enumerate(counts):
        uids = [f"{number:016x}{row:016x}" for row in range(count)]
        stem = folder / f"{number:032x}"
        pq.write_table(pa.table({"uid": uids, "url": uids, "text": [f"text {uid}" for uid in uids]}), f"{stem}.parquet")
        arrays = {name: vectors(count, seed=number, kind=np.float16) for name in ("b32_img", "b32_txt", "l14_txt")}
        written.append(vectors(count, seed=50 + number, kind=np.float16, width=8))
        save(f"{stem}.npz", l14_img=written[-1], **arrays)
    return np.concatenate(written)


def write_dataset(directory, count=30, *, vector_type="float32"):
    """Writes a dataset with two tables of embeddings, texts' embeddings, several texts a row, labels, and tags."""
    texts = [[f"text {row}.{place} ☂" for place in range(row % 3)] for row in range(count)]
    labels = [str(row % 4) if row % 5 else "" for row in range(count)]
    columns = [ColumnSchema(name="key", type="string")]
    columns.append(ColumnSchema(name="text_embedding", type="vector", width=4, vector_type=vector_type))
    if vector_type == "int8":
        columns.append(ColumnSchema(name=scale_column("text_embedding"), type="scale"))
    other = embeddings_table(WIDTH, vector_type, "embeddings-view1")
    with DatasetWriter(
        directory,
        tower=card(),
        source=SourceInfo(kind="table", path="a.tsv", files=[]),
        tables=[
            other,
            TableSchema(name="text-embeddings-e5", columns=columns),
            captions_table(),
            labels_table(),
            TAGS,
        ],
        other_towers={"embeddings-view1": card(fingerprint="e" * 64)},
        vector_type=vector_type,
        rows_per_shard=12,
        block_rows=5,
    ) as writer:
        writer.write(
            keys=keys(0, count),
            embeddings=vectors(count),
            columns={
                "embeddings-view1": {"embedding": vectors(count, seed=1)},
                "text-embeddings-e5": {"text_embedding": vectors(count, seed=2, width=4)},
                "captions": {"texts": texts},
                "labels": {"label": labels},
                "tags": {"tags": texts},
            },
        )
        writer.fail(key="bad", source="bad.jpg", reason="truncated", message="ends early")
    return texts, labels
