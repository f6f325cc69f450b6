"""Bytes on disk: those of a shard that was written."""

import numpy as np
import pytest

from lit_precompute.pipelines.embed.job import BLOCK_ROWS
from lit_precompute.pipelines.estimates.row_bytes import dataset_bytes, vector_bytes, words_bytes
from lit_precompute.precompute.sources.source import Example, columns_of, source_tables
from lit_precompute.schemas import ShardWriter, embeddings_table, failures_table
from lit_precompute.schemas.storage import open_folder
from lit_precompute.schemas.vectors import VECTOR_TYPES


def _rows(count):
    words = np.random.default_rng(0)
    return [
        Example(
            key=f"{number:06}.jpg",
            source="",
            read_image=lambda most=None: b"",
            texts=(" ".join(str(word) for word in words.integers(0, 10_000, 12)),),
            label="cat" if number % 2 else "dog",
        )
        for number in range(count)
    ]


def _written(folder, rows, width, vector_type):
    """Returns the bytes of each table of a shard of these rows."""
    tables = [embeddings_table(width, vector_type), *source_tables(has_labels=True)]
    vectors = np.random.default_rng(1).standard_normal((len(rows), width)).astype(np.float32)
    with ShardWriter(
        open_folder(str(folder)), shard=0, tables=[*tables, failures_table()], block_rows=BLOCK_ROWS
    ) as writer:
        columns = {table.name: columns_of(rows, table) for table in tables[1:]}
        writer.append_rows([row.key for row in rows], {"embeddings": {"embedding": vectors}, **columns})
        files = writer.finish().files
    return {name: file.bytes for name, file in files.items()}


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
@pytest.mark.parametrize("num_rows", [200, 3000])
def test_a_shard_is_as_large_as_estimated_from_its_first_rows(tmp_path, vector_type, num_rows):
    rows = _rows(num_rows)
    real = _written(tmp_path, rows, 64, vector_type)
    first = rows[:256]
    tables = source_tables(has_labels=True)
    each = [vector_bytes(first, 64, vector_type), *words_bytes(first, tables)]
    found = [dataset_bytes(one, num_rows=num_rows, num_shards=1) for one in each]
    names = ["embeddings", *(table.name for table in tables)]
    # Blocks of fewer rows compress a little worse; ArrayRecord's chunks of 64 KiB may round up to the next.
    assert dict(zip(names, found, strict=True)) == pytest.approx(real, rel=0.1, abs=1 << 16)
    if num_rows == 3000:
        assert found[0] == real["embeddings"]


def test_a_type_of_half_the_size_takes_half_the_bytes():
    rows = _rows(100)
    wide, narrow = (vector_bytes(rows, 768, kind) for kind in ("float32", "float16"))
    assert wide - narrow == pytest.approx(768 * 2, abs=1)


def test_shards_of_one_block_have_no_padding():
    assert dataset_bytes(10.0, num_rows=2048, num_shards=2) == 20_480
    assert dataset_bytes(10.0, num_rows=4096, num_shards=2) == 2 * 2 * 65_536
