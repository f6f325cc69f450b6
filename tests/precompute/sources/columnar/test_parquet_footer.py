import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.columnar.parquet_footer import dictionary_bytes, read_row_groups
from lit_precompute.precompute.sources.columnar.thrift import CompactReader


def test_row_groups_match_pyarrows(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {"a": [1, None, 3], "b": [{"c": "x", "d": [1]}, None, {"c": "y", "d": []}], "e": [True, False, None]}
    pq.write_table(
        pa.table(columns), path, row_group_size=2, write_page_index=True, compression={"a": "zstd", "e": "none"}
    )
    data, expected = path.read_bytes(), pq.read_metadata(path)
    found = read_row_groups(data[-8 - int.from_bytes(data[-8:-4], "little") : -8])
    assert len(found) == expected.num_row_groups == 2
    for index, group in enumerate(found):
        about = expected.row_group(index)
        assert group.num_rows == about.num_rows
        for number, chunk in enumerate(group.chunks):
            column = about.column(number)
            start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
            sizes = (column.total_compressed_size, column.total_uncompressed_size)
            assert (chunk.path, chunk.start, chunk.num_bytes, chunk.num_expanded) == (
                column.path_in_schema,
                start,
                *sizes,
            )
    assert [chunk.path for chunk in found[0].chunks_of(["b.d"])] == ["b.d.list.element"]
    assert [chunk.path for chunk in found[0].chunks_of(["b", "e"])] == ["b.c", "b.d.list.element", "e"]


def test_the_size_of_a_dictionary():
    page = bytes([0x15, 4, 0x15, 0x80, 0x01, 0x15, 20, 0x4C, 0x15, 2, 0x15, 0, 0, 0])
    assert CompactReader(page).struct() == {1: 2, 2: 64, 3: 10, 7: {1: 1, 2: 0}}
    assert dictionary_bytes(page) == 64
    assert dictionary_bytes(bytes([0x15, 0]) + page[2:]) == 0  # a page of data
    assert dictionary_bytes(page[:-1]) == dictionary_bytes(b"") == 0


@pytest.mark.parametrize(
    "data", [b"\x15", b"\x15\x04", b"\x1f\x00", b"\x19\xfc\xff\xff\xff\xff\x0f", b"\x1c" * 99, b"\x15" + b"\xff" * 20]
)
def test_damaged_structs_are_errors(data):
    with pytest.raises(ValueError, match=r"bytes|type|nested"):
        CompactReader(data).struct()
    with pytest.raises(ValueError, match=r"bytes|type|nested"):
        read_row_groups(data)


def test_row_groups_without_columns_are_errors():
    with pytest.raises(ValueError, match="a row group without what it must have"):
        read_row_groups(bytes([0x49, 0x1C, 0, 0]))


def test_columns_of_another_type_are_errors():
    """A row group of one column whose description is bytes, and a number of rows."""
    with pytest.raises(ValueError, match="a row group without what it must have"):
        read_row_groups(bytes.fromhex("491c191c3800002602000000"))
