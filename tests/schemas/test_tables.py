"""Tables of every type of column, written and read back."""

from lit_precompute.schemas import ColumnSchema, DatasetWriter, EmbeddingDataset, SourceInfo, TableSchema
from lit_precompute.schemas.checking.verification import verify
from tests.schemas.making import card, rows

PIECES = TableSchema(
    name="pieces",
    columns=[ColumnSchema(name="key", type="string"), ColumnSchema(name="pieces", type="list<list<int32>>")],
)


def test_lists_of_ints_are_read_as_they_were_written(tmp_path):
    keys, vectors, _, _ = rows(20)
    pieces = [[list(range(row + place)) for place in range(row % 3)] for row in range(20)]
    source = SourceInfo(kind="table", path="captions.tsv", files=[])
    with DatasetWriter(tmp_path / "data", tower=card(), source=source, tables=[PIECES], block_rows=8) as writer:
        writer.write(keys=keys, embeddings=vectors, columns={"pieces": {"pieces": pieces}})
    assert verify(tmp_path / "data") == []
    with EmbeddingDataset.open(tmp_path / "data") as dataset:
        found = dataset.rows(0, 20, columns=["pieces"])["pieces"]
    assert str(found.type) == "list<item: list<item: int32 not null> not null>"
    assert found.to_pylist() == pieces
