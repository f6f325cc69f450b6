"""Files of texts by key, and datasets derived with them."""

import csv
import gzip
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import (
    EmbeddingDataset,
)
from tests.schemas.making import rows

NUM_ROWS = 50
TEXTS = {key: f"texte {number}, « zéro »" for number, key in enumerate(rows(NUM_ROWS)[0])}


def shuffled(seed=0):
    """Returns (key, text) of all rows in another order than the dataset's."""
    pairs = list(TEXTS.items())
    random.Random(seed).shuffle(pairs)
    return pairs


def write_tsv(path, pairs=None, header="key\ttext"):
    path.write_text("\n".join([header, *("\t".join(pair) for pair in (shuffled() if pairs is None else pairs))]) + "\n")
    return path


def write_file(path, pairs):
    """Writes a file of keys and texts as its name says."""
    if path.suffix == ".parquet":
        keys, texts = zip(*pairs, strict=True)
        pq.write_table(pa.table({"key": keys, "text": texts}), path, row_group_size=7)
        return
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w", newline="") as file:
        if ".jsonl" in path.name:
            file.writelines(json.dumps({"key": key, "text": text}) + "\n" for key, text in pairs)
        else:
            csv.writer(file).writerows([("key", "text"), *pairs])


def run(base, output, captions=None, **options):
    path = None if captions is None else str(captions)
    return derive(DeriveOptions(base=str(base), output=str(output), captions=path, **options))


def read(path, *columns):
    """Returns the columns of a dataset by key."""
    with EmbeddingDataset.open(path) as dataset:
        found = dataset.rows(0, dataset.num_rows, ["key", *columns]).to_rows()
    return {row["key"]: row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns) for row in found}
