"""Blocks: some of their columns are the same as of the whole, and a column of another type is refused."""

import pyarrow as pa
import pytest

from lit_precompute.schemas import blocks
from lit_precompute.schemas.storage import DatasetError

BATCH = pa.record_batch({"key": ["a", "b"], "texts": [["one"], ["two", "three"]], "number": [1.0, 2.0]})


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("columns", [["key"], ["texts"], ["number", "key"], None])
def test_columns_alone_are_those_of_the_whole(compress: bool, columns: list[str] | None):
    found = blocks.decode(blocks.encode(BATCH, compress=compress), BATCH.schema, "here", columns)
    wanted = [name for name in BATCH.schema.names if columns is None or name in columns]
    assert found.equals(BATCH.select(wanted))


@pytest.mark.parametrize("columns", [["number"], None])
def test_another_type_of_a_column_that_is_read_is_refused(columns: list[str] | None):
    wrong = BATCH.schema.set(2, pa.field("number", pa.float32()))
    with pytest.raises(DatasetError, match="here: the block's schema is"):
        blocks.decode(blocks.encode(BATCH, compress=True), wrong, "here", columns)
