"""Datasets to shuffle."""

from lit_precompute.schemas import (
    ColumnSchema,
    DatasetWriter,
    TableSchema,
    captions_table,
    embeddings_table,
    labels_table,
)
from tests.schemas.making import SOURCE, card, rows

TAGS = TableSchema(
    name="tags",
    columns=[ColumnSchema(name="key", type="string"), ColumnSchema(name="tags", type="list<string>")],
)


def write_dataset(path, count=75, *, order=None, vector_type="float16", rows_per_shard=20, failures=5, **options):
    """Writes a dataset of many tables; `order` gives the places of its rows, or None."""
    keys, vectors, texts, labels = rows(count)
    order = list(range(count)) if order is None else order
    flipped = embeddings_table(4, "float32", "embeddings-flip")
    with DatasetWriter(
        path,
        tower=card(),
        other_towers={"embeddings-flip": card(4, "e" * 64)},
        source=SOURCE,
        tables=[captions_table(), labels_table(), flipped],
        vector_type=vector_type,
        rows_per_shard=rows_per_shard,
        block_rows=8,
        **options,
    ) as writer:
        chosen = {
            "captions": {"texts": [texts[row] for row in order]},
            "labels": {"label": [labels[row] for row in order]},
            "embeddings-flip": {"embedding": vectors[order, 2:]},
        }
        writer.write(keys=[keys[row] for row in order], embeddings=vectors[order], columns=chosen)
        for number in range(failures):
            writer.fail(key=f"bad-{number}", source=f"bad-{number}.jpg", reason="truncated", message="ends early")
        writer.note("captions that are no strings", first="image-0003", count=2)
        writer.attach("classes.txt", b"dog\ncat\n")
    return str(path)
