"""A reader written from docs/format.md alone, on the golden datasets of version 3: it uses nothing of ours."""

import base64
import hashlib
import json
import math
import pathlib
import re

import ml_dtypes
import numpy as np
import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordReader

from tests.golden.dataset_v3 import make as golden

FOLDER = pathlib.Path(__file__).parents[1] / "golden/dataset_v3"
NUMPY = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "int8": np.int8}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_stream(data):
    with pa.ipc.open_stream(data) as stream:
        (batch,) = list(stream)
    return batch


class Reader:
    """One dataset."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_bytes())
        assert self.manifest["format_version"] == 3
        others = {key: value for key, value in self.manifest.items() if key != "digest"}
        assert self.manifest["digest"] == sha256(canonical(others))
        self.shards = self.read_list("shards").to_pylist()
        self.tables = {table["name"]: table for table in self.manifest["tables"]}
        ledger = self.manifest["ledger"]
        for name, total in (("num_rows", "rows_written"), ("num_failures", "rows_failed"), ("rows_read", "rows_read")):
            assert sum(shard[name] for shard in self.shards) == ledger[total]

    def read_list(self, what):
        info = self.manifest["lists"][what]
        return read_stream(self.checked(f"{what}-{info['sha256'][:16]}.arrow", info["bytes"], info["sha256"]))

    def checked(self, name, num_bytes, digest):
        data = (self.folder / name).read_bytes()
        assert (len(data), sha256(data)) == (num_bytes, digest)
        return data

    def attachment(self, name):
        info = self.manifest["attachments"][name]
        return self.checked(f"attachments/{name}", info["bytes"], info["sha256"])

    def owner(self, table):
        number = self.tables[table].get("reference")
        if number is None:
            return self
        reference = self.manifest["references"][number]
        other = Reader(self.folder / reference["path"])
        assert other.manifest["digest"] == reference["digest"]
        return other

    def rows(self, table):
        """Returns all rows of a table as one Arrow table."""
        owner, block_rows, blocks = self.owner(table), self.manifest["block_rows"], []
        for number, shard in enumerate(self.shards):
            num_rows = shard["num_rows"] if self.tables[table]["aligned"] else shard["num_failures"]
            num_blocks = math.ceil(num_rows / block_rows)
            if num_blocks == 0:
                assert (shard[f"{table}.bytes"], shard[f"{table}.sha256"].hex()) == (0, sha256(b""))
                continue
            name = f"{table}/part-{number:05d}." + ("arrow" if num_blocks == 1 else "arrayrecord")
            data = owner.checked(name, shard[f"{table}.bytes"], shard[f"{table}.sha256"].hex())
            if num_blocks == 1:
                batches = [read_stream(data)]
            else:
                batches = [read_stream(record) for record in ArrayRecordReader(str(owner.folder / name)).read_all()]
            sizes = [block_rows] * (num_blocks - 1) + [num_rows - block_rows * (num_blocks - 1)]
            assert [batch.num_rows for batch in batches] == sizes
            blocks += batches
        return pa.Table.from_batches(blocks)

    def vectors(self, table):
        """Returns a table's vectors as float32 [n, D]."""
        rows = self.rows(table)
        field = rows.schema.field("embedding")
        kind, width = field.metadata[b"vector_type"].decode(), field.type.list_size
        assert width == self.manifest["towers"][table]["output_width"]
        numbers = np.asarray(rows["embedding"].combine_chunks().flatten()).view(NUMPY[kind]).reshape(-1, width)
        found = numbers.astype(np.float32)
        return found * np.asarray(rows["embedding_scale"])[:, None] if kind == "int8" else found

    def probes(self, table):
        return {
            probe["row"]: (probe["key"], np.frombuffer(base64.b64decode(probe["vectors"][table]), "<f4"))
            for probe in self.manifest["probes"]
        }


def test_a_reader_of_the_page_reads_the_base():
    base = Reader(FOLDER / "base")
    assert list(base.tables) == ["embeddings", "embeddings-flip", "captions", "labels", "failures"]
    np.testing.assert_allclose(base.vectors("embeddings"), golden.INT8 * np.array(golden.SCALES)[:, None], rtol=2e-7)
    np.testing.assert_array_equal(base.vectors("embeddings-flip"), golden.FLIPPED)
    captions = base.rows("captions")
    assert captions["key"].to_pylist() == golden.KEYS
    assert captions["texts"].to_pylist() == golden.TEXTS
    assert captions["title"].to_pylist() == golden.TITLES
    assert captions["tags"].to_pylist() == golden.TAGS
    assert base.rows("labels")["label"].to_pylist() == golden.LABELS
    assert base.rows("failures")["key"].to_pylist() == [key for shard in golden.FAILED for key in shard]
    assert base.attachment("classes.txt") == golden.CLASSES
    assert [base.manifest["environments"][shard["environment"]]["device"] for shard in base.shards] == [
        golden.GPU.device,
        golden.GPU.device,
        "cpu",
    ]
    for row, (key, vector) in base.probes("embeddings").items():
        assert key == golden.KEYS[row]
        np.testing.assert_array_equal(vector, golden.VECTORS[row])
    assert base.read_list("source").to_pylist() == [
        {"path": "golden/ä.tsv", "bytes": 99, "sha256": None},
        {"path": "golden/b.tsv", "bytes": 1, "sha256": b"\xbb" * 32},
    ]


def test_a_reader_of_the_page_reads_the_derived_dataset():
    derived = Reader(FOLDER / "derived")
    assert derived.rows("captions").equals(Reader(FOLDER / "base").rows("captions"))
    assert derived.rows("captions-nl")["texts_nl"].to_pylist() == golden.DUTCH
    np.testing.assert_array_equal(derived.vectors("embeddings-large"), golden.LARGER)
    np.testing.assert_allclose(derived.vectors("embeddings"), golden.INT8 * np.array(golden.SCALES)[:, None], rtol=2e-7)


def test_the_page_names_every_key_and_column():
    page = (pathlib.Path(__file__).parents[2] / "docs/format.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([^`\n]+)`", page))
    base = Reader(FOLDER / "base")
    keys = {*base.manifest, *base.manifest["source"], *base.manifest["ledger"], *base.manifest["lists"]}
    keys |= {*base.manifest["tables"][0], *base.manifest["probes"][0], *base.manifest["environments"][0], "reference"}
    keys |= {*base.manifest["towers"]["embeddings"], *base.manifest["notes"][0]}
    assert keys - words == set()
